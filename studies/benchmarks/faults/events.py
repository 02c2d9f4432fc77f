"""What workers did, a line each, in a file that survives them."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Event:
    """Something that a worker did.

    Args:
        seconds: When, since the machine started.
        process: The worker.
        what: Such as "training", "evaluated" or "dies in telling".
        key: The configuration that it was done with, as far as it is known.
    """

    seconds: float
    process: int
    what: str
    key: str


class EventFile:
    """A file of events, which several processes append to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tell(self, what: str, key: str = "") -> None:
        """Append an event."""
        line = f"{time.monotonic()}\t{os.getpid()}\t{what}\t{key}\n"
        # One write of a short line is whole, whoever else appends.
        descriptor = os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def read(self) -> list[Event]:
        """All events so far."""
        if not self._path.exists():
            return []
        lines = [line.split("\t") for line in self._path.read_text().splitlines()]
        return [Event(float(seconds), int(process), what, key) for seconds, process, what, key in lines]

    def counts(self, what: str) -> Counter[str]:
        """How often something was done with each configuration."""
        return Counter(event.key for event in self.read() if event.what == what)
