"""Processes as other processes see them: which one it is, and whether it has ended."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process of any machine.

    Args:
        machine: The machine, its boot and its namespace of process numbers, so that a container is one of its own.
        pid: Number of the process.
        started: When it started, in ticks since the boot; a number may be given to another process later. None where
            the system does not tell.
    """

    machine: str
    pid: int
    started: str | None

    @classmethod
    def current(cls) -> Process:
        """This process."""
        pid = os.getpid()
        return cls(_machine(), pid, _started(pid))

    @property
    def is_dead(self) -> bool:
        """Whether it is known to have ended; only known of processes of this machine."""
        return self.started is not None and self.machine == _machine() and _started(self.pid) != self.started


@cache
def _machine() -> str:
    return "/".join([socket.gethostname(), *filter(None, [_boot(), _namespace()])])


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process started; None if there is none, or none that still runs."""
    try:
        # The name of the program, in brackets, may have spaces and brackets itself.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, started = fields[0], fields[19]
    # What nobody has waited for yet is a zombie.
    return None if state in "ZX" else started
