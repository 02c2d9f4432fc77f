"""Trained networks kept in files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


class NetworkCache:
    """A folder of state dicts, each named after what it depends on.

    Args:
        folder: Made when something is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str) -> dict[str, Any] | None:
        """What was saved under ``key``; None if nothing was.

        Raises:
            ValueError: If the file is damaged.
        """
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ValueError(f"{path} is no saved network, or damaged ({error}): remove it to train again.") from error
        return content

    def save(self, key: str, content: Mapping[str, Any]) -> None:
        """Write a state dict, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{key}.{os.getpid()}.partial"
        torch.save(dict(content), partial)
        partial.replace(self._path(key))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.pt"
