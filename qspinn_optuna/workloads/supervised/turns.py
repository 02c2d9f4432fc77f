"""Turns at torch's process-wide state: one thread at a time uses and changes its global generators and flags."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterator
from functools import cached_property
from typing import Any, Self, TypeVar, overload

import torch

_Step = TypeVar("_Step")
_Result = TypeVar("_Result")
_Value = TypeVar("_Value")

_TURN = threading.RLock()
"""Held by the thread whose turn it is."""

_ONCE_SEED = 0


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Take a turn with torch's global generators seeded; they are put back afterwards."""
    with _TURN, torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


class Draws:
    """A stream of draws from torch's global generators, which pauses and goes on where it was.

    Args:
        seed: What it begins with.
    """

    def __init__(self, seed: int) -> None:
        with seeded(seed):
            self._keep()

    @contextlib.contextmanager
    def resumed(self) -> Iterator[None]:
        """Take a turn in which the stream goes on; the global generators are put back afterwards."""
        with _TURN, torch.random.fork_rng():
            torch.set_rng_state(self._cpu)
            if self._gpus:
                torch.cuda.set_rng_state_all(self._gpus)
            yield
            self._keep()

    def _keep(self) -> None:
        self._cpu = torch.get_rng_state()
        self._gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


def in_turns(steps: Generator[_Step, None, _Result], seed: int) -> Generator[_Step, None, _Result]:
    """Run a generator so that each of its steps is a turn, and the steps of other threads come in between.

    Args:
        steps: What is run. It must leave torch's flags as they were whenever it yields.
        seed: Of torch's global generators within the steps, each of which goes on from the one before.

    Yields:
        What ``steps`` yields.

    Returns:
        What ``steps`` returns.
    """
    draws = Draws(seed)
    try:
        while True:
            with draws.resumed():
                try:
                    step = next(steps)
                except StopIteration as end:
                    result: _Result = end.value
                    return result
            yield step
    finally:
        with draws.resumed():
            steps.close()


class made_once(cached_property[_Value]):  # noqa: N801 - used as a decorator
    """A cached property that is made in a turn: by one thread, while others that need it wait.

    torch's global generators are seeded while it is made, whoever needs it first.
    """

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> _Value: ...

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        """The value, which later reads find in the instance itself."""
        if instance is None:
            return self
        with seeded(_ONCE_SEED):
            return super().__get__(instance, owner)
