"""Synapses that take sums of other synapses, without a spike between: what they take has a format of its own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.batches import Inputs, call
from qspinn_optuna.networks.inputs import INPUT
from qspinn_optuna.networks.ranges import RangeMethod, SeenValues, calibrated_spec
from qspinn_optuna.networks.support import SYNAPSES
from qspinn_optuna.networks.watching import join, run, watched
from qspinn_optuna.parameters import Family, ParameterSpec

_BITS = 8
"""Widest input, as that of a network."""


def chained_synapses(network: nn.Module, contributions: Mapping[str, frozenset[str]]) -> set[str]:
    """Synapses that other synapses reach.

    Each adds the digits of its weights to those of the sum that it takes, so that a few of them in a row, such as the
    shortcuts of membranes in a residual network, have more than float32 carries. A device rounds between them.
    """
    synapses = {name for name, module in network.named_modules() if isinstance(module, SYNAPSES)}
    return {name for name in synapses if contributions.get(name, frozenset()) & synapses}


def chained_inputs(
    network: nn.Module, names: set[str], inputs: Inputs, samples: int, method: RangeMethod, percentile: float, seed: int
) -> tuple[ParameterSpec, ...]:
    """The inputs of synapses as parameters: what a device holds of one sample at one time step, until it is read.

    Args:
        network: Float, without batch normalization.
        names: Of the synapses.
        inputs: A batch, which is run once.
        samples: Number of its samples.
        method: How ranges are made of values.
        percentile: Part of the values that is kept, in percent, if ``method`` is that one.
        seed: Of the sample of values.
    """
    seen: dict[str, SeenValues] = {}
    elements: dict[str, int] = {}

    def on_input(name: str, value: Tensor) -> None:
        if name in names:
            seen.setdefault(name, SeenValues(torch.Generator().manual_seed(seed))).add(value)
            elements[name] = elements.get(name, 0) + value.numel()

    run(watched(network, lambda *_: None, on_input), inputs)
    steps = _steps(network, inputs)

    def spec(name: str) -> ParameterSpec:
        # A call may be a time step or all of them.
        count = max(1, elements[name] // (samples * steps))
        return calibrated_spec(join(name, INPUT), Family.INPUT, count, seen[name], _BITS, method, percentile)

    return tuple(spec(name) for name in sorted(seen))


@torch.no_grad()
def _steps(network: nn.Module, inputs: Inputs) -> int:
    """Number of time steps of a run."""
    calls: dict[str, int] = {}

    def on_state(name: str, _: Tensor) -> None:
        calls[name] = calls.get(name, 0) + 1

    network = watched(network, on_state)
    call(network, inputs)
    # Fresh states are seen before the first step, too: steps are counted where states are not fresh.
    calls.clear()
    call(network, inputs)
    return max(calls.values(), default=1)
