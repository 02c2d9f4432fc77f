"""The quantized networks that were used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from torch import nn

from qspinn_optuna.networks.running.watching import fresh_copy


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
