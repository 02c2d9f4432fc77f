"""The quantized networks that were measured last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.integer import MeanResponse, WeightedResponse, WinnerTakeAll

_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class LabeledLayer:
    """A quantized network with its readout."""

    layer: WinnerTakeAll
    readout: MeanResponse | WeightedResponse


class RecentNetworks:
    """Remembers labeled layers by configuration and seed, those used last as far as 64 MiB of weights go.

    Threads may share it.
    """

    def __init__(self) -> None:
        self._networks: OrderedDict[tuple[QuantizationConfig, int], LabeledLayer] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[RecentNetworks], tuple[()]]:
        # What is remembered here need not go to other processes.
        return RecentNetworks, ()

    def get(self, config: QuantizationConfig, seed: int) -> LabeledLayer | None:
        """The network of a configuration, if it is remembered."""
        with self._lock:
            network = self._networks.get((config, seed))
            if network is not None:
                self._networks.move_to_end((config, seed))
            return network

    def add(self, config: QuantizationConfig, seed: int, network: LabeledLayer) -> None:
        """Remember a network, and forget those that were not used for the longest time."""
        with self._lock:
            self._networks[config, seed] = network
            self._networks.move_to_end((config, seed))
            while len(self._networks) > 1 and self._bytes() > _MOST_BYTES:
                self._networks.popitem(last=False)

    def _bytes(self) -> int:
        return sum(network.layer.weight.array.nbytes for network in self._networks.values())
