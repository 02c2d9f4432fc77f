"""Files that are being written, beside their places, until they are whole."""

from __future__ import annotations

import glob
import os
import platform
import threading
import time
from pathlib import Path

_DAY = 24 * 60 * 60
"""Seconds."""


def partial_path(folder: Path, name: str) -> Path:
    """Where this thread writes what will be of a name; other threads, processes and machines have other paths."""
    return folder / f"{name}.{platform.node()}.{os.getpid()}.{threading.get_ident()}.partial"


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove what processes left that ended while they wrote.

    Args:
        folder: The folder.
        name: What the files would have been; files of any name if not given.
    """
    for partial in folder.glob("*.partial" if name is None else f"{glob.escape(name)}.*.partial"):
        if _is_left_over(partial):
            partial.unlink(missing_ok=True)


def _is_left_over(partial: Path) -> bool:
    """Whether no process writes a partial file any more."""
    try:
        if time.time() - partial.stat().st_mtime > _DAY:
            return True
    except FileNotFoundError:
        # It has become whole.
        return False
    start, *numbers = partial.name.rsplit(".", 3)
    # Processes of other machines, which may share the folder, cannot be looked up.
    here = len(numbers) == 3 and start.endswith(f".{platform.node()}")
    return here and numbers[0].isdecimal() and not _runs(int(numbers[0]))


def _runs(process: int) -> bool:
    """Whether a process of this machine runs; taken for granted where asking would end it, as on Windows."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        # It is another user's.
        return True
    return True
