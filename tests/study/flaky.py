"""A storage that fails on demand, before or after it has done what it was asked for."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from optuna.storages import BaseStorage, InMemoryStorage
from sqlalchemy.exc import OperationalError

LOST = OperationalError("SELECT 1", {}, Exception("server closed the connection\n\tunexpectedly"))
"""An error of a connection that has broken."""


class FlakyStorage(InMemoryStorage):
    """A storage in memory.

    Attributes:
        fails: Whether a call fails, by its name, before it is done.
        breaks: Whether a call fails after it was done.
        error: The error.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fails: Callable[[str], bool] = lambda _: False
        self.breaks: Callable[[str], bool] = lambda _: False
        self.error: Exception = LOST
        self.calls: list[str] = []
        self._inner = threading.local()


def _flaky(name: str) -> Any:
    method = getattr(InMemoryStorage, name)

    @functools.wraps(method)
    def call(self: FlakyStorage, *args: Any, **kwargs: Any) -> Any:
        # Its own calls of itself do not fail.
        if getattr(self._inner, "is_calling", False):
            return method(self, *args, **kwargs)
        self.calls.append(name)
        if self.fails(name):
            raise self.error
        self._inner.is_calling = True
        try:
            result = method(self, *args, **kwargs)
        finally:
            self._inner.is_calling = False
        if self.breaks(name):
            raise self.error
        return result

    return call


for _name in BaseStorage.__abstractmethods__:
    setattr(FlakyStorage, _name, _flaky(_name))
