"""What the first layers take, if the network computes it from its input in floating point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.batches import Inputs, call
from qspinn_optuna.networks.inputs import INPUT, on_grid
from qspinn_optuna.networks.ranges import RangeMethod, SeenValues, calibrated_spec
from qspinn_optuna.networks.reciprocals import is_reciprocal
from qspinn_optuna.networks.support import SYNAPSES
from qspinn_optuna.networks.watching import join, watched
from qspinn_optuna.parameters import Family, ParameterSpec

_BITS = 8
_KEPT = 5_000
"""Values of each run of a layer of which the formats are made."""


@dataclass(frozen=True)
class Entering:
    """Layers whose input is rounded, in place of the input of the network.

    Args:
        layers: Their names; none if this does not help.
        contributions: What is added up where, afterwards.
        left_out: Parameters that nothing on the device needs any more.
    """

    layers: tuple[str, ...]
    contributions: Mapping[str, frozenset[str]]
    left_out: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.layers)

    def replaces(self, name: str) -> bool:
        """Whether a parameter is left out."""
        return name in self.left_out


class LayerInputs:
    """Collects what synapses take that is on no grid.

    Args:
        network: What is run.
        seed: Of the sample of values that is kept.
    """

    def __init__(self, network: nn.Module, seed: int) -> None:
        self._network = network
        self._seed = seed
        self._seen: dict[str, SeenValues] = {}
        self._elements: dict[str, int] = {}

    def see(self, name: str, value: Tensor) -> None:
        """Take notice of what a layer takes."""
        self._elements[name] = self._elements.get(name, 0) + value.numel()
        if name not in self._seen:
            if on_grid(value) or not bool(value.isfinite().all()):
                return
            self._seen[name] = SeenValues(torch.Generator().manual_seed(self._seed))
        if bool(value.isfinite().all()):
            self._seen[name].add(value, kept=_KEPT)

    def entering(self, contributions: Mapping[str, frozenset[str]]) -> Entering:
        """The layers that take what was computed from the input of the network alone.

        What a network computes of spikes or of sums of layers, a device has to compute in fixed point.
        """
        synapses = [name for name, module in self._network.named_modules() if isinstance(module, SYNAPSES) and name]
        behind = {name: contributions.get(name, frozenset()) for name in synapses}
        layers = tuple(
            name
            for name in synapses
            if name in self._seen
            and INPUT in behind[name]
            and all(source == INPUT or is_reciprocal(source) for source in behind[name])
        )
        left_out = frozenset({INPUT}).union(*(behind[name] for name in layers))
        after = {name: found - left_out for name, found in contributions.items()}
        after |= {name: frozenset({join(name, INPUT)}) for name in layers}
        return Entering(layers, after, left_out)

    def specs(
        self, layers: Iterable[str], samples: int, inputs: Inputs, method: RangeMethod, percentile: float
    ) -> list[ParameterSpec]:
        """A parameter for each of the layers: what a device holds of one sample at one time step, until it is read.

        Args:
            layers: Names of layers that took what is on no grid.
            samples: That all layers have seen.
            inputs: Some of them, from which the number of time steps is seen.
            method: How ranges are made of values.
            percentile: Part of the values that is kept, in percent, if ``method`` is that one.
        """
        # A call may be a time step or all of them.
        calls = samples * _steps(self._network, inputs)
        return [
            calibrated_spec(
                join(name, INPUT),
                Family.INPUT,
                max(1, self._elements[name] // calls),
                self._seen[name],
                _BITS,
                method,
                percentile,
            )
            for name in sorted(layers)
        ]


@torch.no_grad()
def _steps(network: nn.Module, inputs: Inputs) -> int:
    """Number of time steps of a run."""
    seen: dict[str, int] = {}

    def on_state(name: str, _: Tensor) -> None:
        seen[name] = seen.get(name, 0) + 1

    network = watched(network, on_state)
    call(network, inputs)
    # Fresh states are seen before the first step, too: steps are counted where states are not fresh.
    seen.clear()
    call(network, inputs)
    return max(seen.values(), default=1)
