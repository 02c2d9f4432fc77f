"""The thread that keeps the leases of a storage alive, and writes what waits."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from typing import Protocol

_MOMENT = 0.1
"""Seconds in which what follows what is in a hurry is written with it."""


class Beating(Protocol):
    """What has a pulse."""

    def beat(self, now: float, *, renews: bool) -> None:
        """Write what waits.

        Args:
            now: Seconds of the monotonic clock.
            renews: Whether leases are renewed, too, and those of other processes looked at.
        """

    def release(self) -> None:
        """Give back what is left when the process ends."""


class Pulse:
    """Calls an object regularly, as long as it exists.

    Args:
        owner: The object.
        interval: Seconds between two renewals.
        delay: Seconds between two calls.
    """

    def __init__(self, owner: Beating, interval: float, delay: float) -> None:
        self._owner = weakref.ref(owner)
        self._interval = interval
        self._delay = min(delay, interval)
        self._process: int | None = None
        self._is_hurried = threading.Event()

    def start(self) -> None:
        """Begin, unless it beats already; a process that was forked has a pulse of its own."""
        owner = self._owner()
        if self._process != os.getpid() and owner is not None:
            self._process = os.getpid()
            # NOTE: a lock of the one before may have been held when the process was forked.
            self._is_hurried = threading.Event()
            _ALIVE.add(owner)
            threading.Thread(target=self._run, name="qspinn-leases", daemon=True).start()

    def hurry(self) -> None:
        """Let the next call come in a moment."""
        self._is_hurried.set()

    def _run(self) -> None:
        renewed = time.monotonic()
        while True:
            if self._is_hurried.wait(self._delay):
                time.sleep(min(_MOMENT, self._delay))
                self._is_hurried.clear()
            owner, now = self._owner(), time.monotonic()
            if owner is None:
                return
            renews = now - renewed >= self._interval
            renewed = now if renews else renewed
            owner.beat(now, renews=renews)
            # Nothing but this thread would keep it.
            del owner


_ALIVE: weakref.WeakSet[Beating] = weakref.WeakSet()


@atexit.register
def _release() -> None:
    for owner in list(_ALIVE):
        owner.release()
