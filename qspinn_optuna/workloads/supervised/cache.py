"""Networks that are kept: trained ones in files, the last few quantized ones in memory."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from qspinn_optuna.networks.running.watching import fresh_copy


class NetworkCache:
    """A folder of state dicts, each named after what it depends on.

    Args:
        folder: Made when something is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str) -> dict[str, Any] | None:
        """The state dict that was saved under ``key``; None if none was.

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


class RecentNetworks:
    """The networks that were used last, in memory; each is handed out as a fresh copy.

    Args:
        capacity: Number of networks that are kept.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._networks: OrderedDict[Hashable, nn.Module] = OrderedDict()

    def get(self, key: Hashable) -> nn.Module | None:
        """A copy of the network that was kept under ``key``; None if it is not kept."""
        if key not in self._networks:
            return None
        self._networks.move_to_end(key)
        return fresh_copy(self._networks[key])

    def keep(self, key: Hashable, network: nn.Module) -> None:
        """Keep a copy of ``network``, and forget the network that was not used for longest if there are too many."""
        self._networks[key] = fresh_copy(network)
        self._networks.move_to_end(key)
        if len(self._networks) > self.capacity:
            self._networks.popitem(last=False)
