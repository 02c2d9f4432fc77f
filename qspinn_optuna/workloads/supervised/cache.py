"""Trained networks, kept in files."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qspinn_optuna.partial_files import partial_path, remove_leftovers
from qspinn_optuna.workloads.supervised.state_files import DamagedError, from_bytes, to_bytes


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
        remove_leftovers(self.folder)
        # Threads, processes and machines that save the same network at once do not meet.
        partial = partial_path(self.folder, key)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            # Without it, a power cut may leave the new name with nothing in it.
            os.fsync(file.fileno())
        partial.replace(self._path(key))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"


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
