"""Locks of open files, which end with their process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

if sys.platform != "win32":
    import fcntl


@contextmanager
def locked(file: IO[bytes]) -> Iterator[None]:
    """Keep other processes and threads, which opened the file themselves, from the same lock.

    Windows has no such locks; there, nothing is locked.
    """
    if sys.platform == "win32":
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
