"""SIGTERM, by which batch systems and containers stop a command: it ends as by Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(KeyboardInterrupt):
    """A command was asked by SIGTERM to end. What Ctrl-C ends properly, this ends properly, too."""


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise :class:`Terminated`, once: another one does not disturb the ending.

    Only the main thread can have it so; elsewhere, and where SIGTERM is ignored, nothing changes.
    """
    previous = signal.getsignal(signal.SIGTERM)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or previous in (None, signal.SIG_IGN):
        yield
        return
    signal.signal(signal.SIGTERM, _Handler())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


class _Handler:
    def __init__(self) -> None:
        self._process = os.getpid()
        self._is_ending = False

    def __call__(self, number: int, _frame: object) -> None:
        if os.getpid() != self._process:
            # A worker that was forked has nothing to end properly.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not self._is_ending:
            self._is_ending = True
            raise Terminated
