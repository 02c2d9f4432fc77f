"""What layers and neurons take, if the network computes it from its input, or from spikes, in floating point.

It is rounded where it enters. What a device stores of it depends on where it comes from:

- From the input of the network alone, such as (x - mean) / std: the device gets it ready made, and holds it until it is
  read, one sample at one time step.
- From spikes, and counts of them, that are scaled and shifted: the device has the spikes anyway, and stores the few
  numbers that they become, 0.3 alone for 0.3 * spikes, unless the array is smaller.
- From sums of layers: a layer reads all of what it takes, an array. Neurons take it from an accumulator one by one, of
  which nothing is stored; what is counted is the factor, one number of the width of what it gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.entry.contributions import OUTPUT
from qspinn_optuna.networks.entry.inputs import INPUT, on_grid
from qspinn_optuna.networks.entry.reciprocals import is_reciprocal
from qspinn_optuna.networks.modules.support import SYNAPSES
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.ranges import RangeMethod, SeenValues, calibrated_spec
from qspinn_optuna.networks.simulated_digits import DECAY_BITS, HEADROOM_BITS, SIMULATED_BITS
from qspinn_optuna.parameters import Family, Memory, ParameterSpec

_BITS = 8
_NEURON_BITS = SIMULATED_BITS - DECAY_BITS - HEADROOM_BITS
"""Widest input of neurons, which may be multiplied by 1 - decay: that of their membranes."""

_KEPT = 5_000
"""Values of each run of a layer of which the formats are made."""

_LEVELS = 2**8
_LOOKED_AT = 4_096
_SAME = 1e-3
"""Part of a step by which levels may be off: float32 rounds them."""


@dataclass(frozen=True)
class Entering:
    """Layers or neurons whose input is rounded, in place of the input of the network.

    Args:
        counts: What a device stores, in elements, by their names; none if this does not help.
        contributions: What is added up where, afterwards.
        left_out: Parameters that nothing on the device needs any more.
    """

    counts: Mapping[str, int]
    contributions: Mapping[str, frozenset[str]]
    left_out: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.counts)

    def replaces(self, name: str) -> bool:
        """Whether a parameter is left out."""
        return name in self.left_out


class LayerInputs:
    """Collects what synapses and neurons take that is on no grid.

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
        self._levels: dict[str, int | None] = {}
        synapses = {name for name, module in network.named_modules() if isinstance(module, SYNAPSES)}
        self._synapses = frozenset(synapses)

    def see(self, name: str, value: Tensor, samples: int) -> None:
        """Take notice of what a layer, or neurons, take, of so many samples."""
        if name not in self._seen:
            if on_grid(value) or not bool(value.isfinite().all()):
                return
            self._seen[name] = SeenValues(torch.Generator().manual_seed(self._seed))
        self._sizes.setdefault(name, (value.shape, samples))
        if bool(value.isfinite().all()):
            self._seen[name].add(value, kept=_KEPT)
        known = self._levels.setdefault(name, 0)
        if known is not None:
            levels = even_levels(value)
            self._levels[name] = None if levels is None else max(known, levels)

    def see_steps(self, steps: Mapping[str, int]) -> None:
        """Take notice of how many steps the states of a run take, by their names."""
        self._steps = dict(steps)

    def _elements(self, name: str) -> int:
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
        behind = {name: contributions.get(name, frozenset()) for name in sorted(self._synapses) if name}
        layers = [
            name
            for name, sources in behind.items()
            if name in self._seen
            and (INPUT in sources or self._levels[name] is not None)
            and all(_belongs_to_entry(source) for source in sources)
        ]
        left_out = frozenset[str]().union(*(behind[name] for name in layers))
        after = {name: found - left_out for name, found in contributions.items()}
        after |= {name: frozenset({join(name, INPUT)}) for name in layers}
        return Entering({name: self._stored(name, behind[name]) for name in layers}, after, left_out)

    def chained(self, layers: Iterable[str], contributions: Mapping[str, frozenset[str]]) -> Entering:
        """Layers that take sums of others, with what is added up once these are rounded."""
        return Entering({name: self._elements(name) for name in sorted(layers)}, contributions)

    def entering_neurons(self, neurons: Iterable[str], contributions: Mapping[str, frozenset[str]]) -> Entering:
        """Neurons that take decimals.

        The input of the network, and factors of averages, are left out if nothing else takes them.
        """
        behind = {name: contributions.get(name, frozenset()) for name in neurons if name in self._seen}
        after = {**contributions, **{name: frozenset({join(name, INPUT)}) for name in behind}}
        needed = frozenset[str]().union(*(found for name, found in after.items() if name != OUTPUT))
        taken = frozenset[str]().union(*behind.values())
        left_out = frozenset(name for name in taken - needed if _belongs_to_entry(name))
        counts = {
            name: self._stored(name, sources) if INPUT in left_out or INPUT not in sources else 1
            for name, sources in behind.items()
        }
        return Entering(counts, after, left_out)

    def _stored(self, name: str, sources: frozenset[str]) -> int:
        """Elements that a device stores of what ``name`` takes; see the module."""
        levels = self._levels[name]
        if not all(_belongs_to_entry(source) for source in sources):
            return self._elements(name) if name in self._synapses else 1
        if INPUT in sources or levels is None:
            return self._elements(name)
        return min(max(levels, 1), self._elements(name))

    def specs(self, counts: Mapping[str, int], method: RangeMethod, percentile: float) -> list[ParameterSpec]:
        """A parameter for each of some layers or neurons.

        Args:
            counts: Elements that a device stores of each, by the names of those that took what is on no grid.
            method: How ranges are made of values.
            percentile: Part of the values that is kept, in percent, if ``method`` is that one.
        """
        return [self._spec(name, counts[name], method, percentile) for name in sorted(counts)]

    def _spec(self, name: str, count: int, method: RangeMethod, percentile: float) -> ParameterSpec:
        bits = _BITS if name in self._synapses else _NEURON_BITS
        spec = calibrated_spec(join(name, INPUT), Family.INPUT, count, self._seen[name], bits, method, percentile)
        # Fewer numbers than a buffer has are constants: factors, and what spikes become.
        return replace(spec, memory=Memory.FLASH) if count < self._elements(name) else spec


def _belongs_to_entry(source: str) -> bool:
    """Whether what contributes to a sum is the input of the network, or a factor of its averages."""
    return source == INPUT or is_reciprocal(source)


def even_levels(values: Tensor) -> int | None:
    """How many numbers other than 0 values are, if they are small whole numbers times a number, plus a number.

    Spikes that are scaled and shifted are, and counts of spikes.

    Returns:
        None if they are not.
    """
    levels = torch.unique(values.detach().flatten()[:_LOOKED_AT].double())
    gaps = levels.diff()
    gaps = gaps[gaps > _SAME / _LEVELS * (levels[-1] - levels[0])]
    others = int((levels.abs() > _SAME / _LEVELS * levels.abs().max()).sum())
    if gaps.numel() == 0:
        return min(others, 1)
    codes = (levels - levels[0]) / gaps.min()
    if not (bool(codes[-1] <= _LEVELS) and bool(((codes - codes.round()).abs() <= _SAME).all())):
        return None
    # Some of the levels are equal but for the last digits of float32.
    rounded = torch.unique(codes.round())
    zero = bool((levels.abs() <= _SAME * gaps.min()).any())
    return len(rounded) - int(zero)
