"""Trained networks, kept in files."""

from __future__ import annotations

import os
import pickle
import platform
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qspinn_optuna.workloads.supervised.state_files import DamagedError, from_bytes, to_bytes

_DAY = 24 * 60 * 60
"""Seconds."""


class NetworkCache:
    """A folder of state dicts, each a safetensors file with a checksum, named after what it depends on.

    Args:
        folder: Made when something is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str) -> dict[str, Any] | None:
        """The state dict that was saved under ``key``; None if none was, or its file is damaged.

        A damaged file is moved aside, with a warning.
        """
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            return from_bytes(path.read_bytes())
        except FileNotFoundError:
            # Another process has just moved it aside.
            return None
        except (OSError, DamagedError) as error:
            kept = _move_aside(path)
            warnings.warn(
                f"{path} is damaged ({_one_line(error)}): it is kept as {kept.name}, and the network is trained again.",
                stacklevel=2,
            )
            return None

    def save(self, key: str, content: Mapping[str, Any]) -> None:
        """Write a state dict, whole or not at all; one that could not be read again is not written, with a warning."""
        try:
            data = to_bytes(content)
        except pickle.PickleError as error:
            warnings.warn(
                f"The network is not kept, and is trained again when it is needed: {_one_line(error)}", stacklevel=2
            )
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_leftovers()
        # Threads, processes and machines that save the same network at once do not meet.
        owner = f"{platform.node()}.{os.getpid()}.{threading.get_ident()}"
        partial = self.folder / f"{key}.{owner}.partial"
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            # Without it, a power cut may leave the new name with nothing in it.
            os.fsync(file.fileno())
        partial.replace(self._path(key))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _remove_leftovers(self) -> None:
        """Remove what processes left that ended while they saved."""
        for partial in self.folder.glob("*.partial"):
            if _is_left_over(partial):
                partial.unlink(missing_ok=True)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _move_aside(path: Path) -> Path:
    """Rename a damaged file, to a name that no other has."""
    number = 1
    while True:
        kept = path.with_name(f"{path.name}.damaged{number if number > 1 else ''}")
        try:
            # An empty file reserves the name: a rename alone would overwrite what another process has moved there.
            kept.touch(exist_ok=False)
        except FileExistsError:
            number += 1
            continue
        path.replace(kept)
        return kept


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
