"""What layers take, if the network computes it from its input, or from spikes, in floating point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.inputs import INPUT, on_grid
from qspinn_optuna.networks.ranges import RangeMethod, SeenValues, calibrated_spec
from qspinn_optuna.networks.reciprocals import is_reciprocal
from qspinn_optuna.networks.support import SYNAPSES
from qspinn_optuna.networks.watching import join
from qspinn_optuna.parameters import Family, ParameterSpec

_BITS = 8
_KEPT = 5_000
"""Values of each run of a layer of which the formats are made."""

_LEVELS = 2**8
_LOOKED_AT = 4_096
_SAME = 1e-3
"""Part of a step by which levels may be off: float32 rounds them."""


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
        self._sizes: dict[str, tuple[torch.Size, int]] = {}
        self._steps: dict[str, int] = {}
        self._unevenly: set[str] = set()

    def see(self, name: str, value: Tensor, samples: int) -> None:
        """Take notice of what a layer takes, of so many samples."""
        if name not in self._seen:
            if on_grid(value) or not bool(value.isfinite().all()):
                return
            self._seen[name] = SeenValues(torch.Generator().manual_seed(self._seed))
        self._sizes.setdefault(name, (value.shape, samples))
        if bool(value.isfinite().all()):
            self._seen[name].add(value, kept=_KEPT)
        if name not in self._unevenly and not has_even_levels(value):
            self._unevenly.add(name)

    def see_steps(self, steps: Mapping[str, int]) -> None:
        """Take notice of how many steps the states of a run take, by their names."""
        self._steps = dict(steps)

    def _count(self, name: str) -> int:
        """Elements of one sample at one step: a device holds a sequence step by step."""
        shape, samples = self._sizes[name]
        seen = max(self._steps.values(), default=1)
        if getattr(self._network.get_submodule(name), "step_mode", "s") == "m":
            return shape.numel() // max(samples * shape[0], 1)
        # Fresh states are seen before the first step, too.
        for steps in (seen - 1, seen):
            if shape[0] == steps * samples or (len(shape) > 2 and tuple(shape[:2]) == (steps, samples)):
                return shape.numel() // max(samples * steps, 1)
        return shape.numel() // max(samples, 1)

    def entering(self, contributions: Mapping[str, frozenset[str]]) -> Entering:
        """The layers that take what was computed from the input alone, or spikes and their means, scaled and shifted.

        What else a network computes of spikes, or of sums of layers, a device has to compute in fixed point.
        """
        synapses = [name for name, module in self._network.named_modules() if isinstance(module, SYNAPSES) and name]
        behind = {name: contributions.get(name, frozenset()) for name in synapses}
        layers = tuple(
            name
            for name in synapses
            if name in self._seen
            and (INPUT in behind[name] or name not in self._unevenly)
            and all(source == INPUT or is_reciprocal(source) for source in behind[name])
        )
        left_out = frozenset[str]().union(*(behind[name] for name in layers))
        after = {name: found - left_out for name, found in contributions.items()}
        after |= {name: frozenset({join(name, INPUT)}) for name in layers}
        return Entering(layers, after, left_out)

    def specs(self, layers: Iterable[str], method: RangeMethod, percentile: float) -> list[ParameterSpec]:
        """A parameter for each of the layers: what a device holds of one sample at one time step, until it is read.

        Args:
            layers: Names of layers that took what is on no grid.
            method: How ranges are made of values.
            percentile: Part of the values that is kept, in percent, if ``method`` is that one.
        """
        return [
            calibrated_spec(
                join(name, INPUT), Family.INPUT, self._count(name), self._seen[name], _BITS, method, percentile
            )
            for name in sorted(layers)
        ]


def has_even_levels(values: Tensor) -> bool:
    """Whether values are small whole numbers, times a number, plus a number: spikes that are scaled and shifted."""
    levels = torch.unique(values.detach().flatten()[:_LOOKED_AT].double())
    gaps = levels.diff()
    gaps = gaps[gaps > _SAME / _LEVELS * (levels[-1] - levels[0])]
    if gaps.numel() == 0:
        return True
    codes = (levels - levels[0]) / gaps.min()
    return bool(codes[-1] <= _LEVELS) and bool(((codes - codes.round()).abs() <= _SAME).all())
