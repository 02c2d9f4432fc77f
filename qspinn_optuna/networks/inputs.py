"""The input of a network: whether it is in fixed point already, what a device keeps of it, and its rounding."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.fixed_point import ParameterQuantization
from qspinn_optuna.networks.batches import Inputs, mapped, tensors
from qspinn_optuna.networks.fixed_point_classes import takes_fixed_point_step
from qspinn_optuna.networks.nested import is_of_vmap
from qspinn_optuna.networks.neurons import store_state
from qspinn_optuna.networks.support import SYNAPSES, has_states
from qspinn_optuna.networks.watching import run, watched

INPUT = "input"
"""Name of the parameter: of the network, or of a layer or of neurons whose input is rounded."""

_FINER = 8
"""Bits of what layers and neurons take, beyond those of its format, to which it is rounded first."""

DIGITS_OF_SUMS = 32
"""Digits that sums of fixed-point numbers have at most, before they are rounded; what has more is a real number."""

_DIGITS_OF_DOUBLE = 53

GRID_BITS = 16
"""Digits that sensors and counters give at most; inputs of more are real numbers."""


def on_grid(values: Tensor, bits: int = GRID_BITS) -> bool:
    """Whether values are multiples of one power of two, by integers of at most ``bits`` bits and a sign.

    Args:
        values: Of any shape; integers and booleans are on a grid, whatever their size.
        bits: Digits of the largest value.
    """
    if not values.is_floating_point() or values.numel() == 0:
        return True
    largest = float(values.detach().abs().max())
    if largest == 0 or not math.isfinite(largest):
        return True
    codes = values.detach().double() * 2.0 ** (bits - math.frexp(largest)[1])
    return bool((codes == codes.round()).all())


def digits(values: Tensor) -> int:
    """Most binary digits, from the first to the last that is not 0, of any of the values; 0 if all are 0.

    Args:
        values: Finite, of any shape; computed in float64 if all digits of products shall count.
    """
    if values.numel() == 0:
        return 0
    fractions, _ = torch.frexp(values.detach().double().abs().flatten())
    codes = (fractions * 2.0**_DIGITS_OF_DOUBLE).long()
    codes = codes[codes != 0]
    if codes.numel() == 0:
        return 0
    last = torch.frexp((codes & -codes).double())[1] - 1
    return _DIGITS_OF_DOUBLE - int(last.min())


def elements_of_a_step(network: nn.Module, inputs: Inputs) -> int:
    """Elements of the input that a device holds at a time: those of one sample at one time step.

    A dimension is the batch if twice its length gives states of twice as many samples, and time if it gives more steps.

    Args:
        network: A supported network.
        inputs: A batch as the network takes it.
    """
    samples, steps = _observed(network, inputs)
    held = [one for one in tensors(inputs) if one.is_floating_point()]
    if samples == 0:
        return sum(one[0].numel() for one in held)
    counts = [one.numel() for one in held]
    for dimension in range(2):
        try:
            more_samples, more_steps = _observed(network, mapped(inputs, partial(_twice, dimension=dimension)))
        except Exception:
            continue
        if more_samples == 2 * samples or more_steps > steps:
            pairs = zip(counts, held, strict=True)
            counts = [count // one.shape[dimension] if dimension < one.ndim else count for count, one in pairs]
    return sum(counts)


def _twice(values: Tensor, dimension: int) -> Tensor:
    return torch.cat([values, values], dimension) if dimension < values.ndim else values


def _observed(network: nn.Module, inputs: Inputs) -> tuple[int, int]:
    """Samples and time steps of the states of a run; none if there are no states."""
    seen: dict[str, list[int]] = {}
    run(watched(network, lambda name, value: seen.setdefault(name, []).append(len(value))), inputs)
    return max((max(sizes) for sizes in seen.values()), default=0), max(map(len, seen.values()), default=0)


def is_input(name: str) -> bool:
    """Whether a parameter is the input of the network, or what a layer or neurons of it take."""
    return name.rpartition(".")[2] == INPUT


def takes_rounded_input(module: nn.Module) -> bool:
    """Whether what a module takes may be rounded where it enters: that of synapses, and of steps in fixed point."""
    return isinstance(module, SYNAPSES) or (has_states(module) and takes_fixed_point_step(module))


def quantize_input(value: Any, quantization: InputQuantization) -> Any:
    """Arguments of a network with their floating-point tensors on the grid."""
    if isinstance(value, Tensor):
        return quantization(value) if value.is_floating_point() else value
    if isinstance(value, tuple | list):
        return type(value)(quantize_input(part, quantization) for part in value)
    return value


@dataclass
class Agreement:
    """Lets a second run of a network round as the first did, where values lie between two neighbours on a grid.

    What is computed in floating point, such as a product with 0.3, is off every grid, and its last digit may decide
    which neighbour is nearer. That computation is not in fixed point: its result is what was rounded first. Sums of
    fixed-point numbers are left alone, whose last digits float32 must not lose.

    Attributes:
        recorded: Rounded values of the first run, by the names of their parameters.
        complete: Whether the first run is over.
    """

    recorded: dict[str, deque[Tensor]] = field(default_factory=dict)
    complete: bool = False

    def settle(self, name: str, value: Tensor, rounded: Tensor, resolution: float) -> Tensor:
        """What ``rounded`` is to be: of the second run what the first gave, if that is no more than a step away.

        Args:
            name: Of the parameter.
            value: Before it was rounded, float64 in the second run.
            rounded: On the grid.
            resolution: A step of the grid.
        """
        if not self.complete:
            self.recorded.setdefault(name, deque()).append(rounded.detach().clone())
            return rounded
        seen = self.recorded.get(name)
        first = seen.popleft().to(rounded) if seen else rounded
        if first.shape != rounded.shape or digits(value) <= DIGITS_OF_SUMS:
            return rounded
        return torch.where((first - rounded).abs() <= resolution, first, rounded)


@dataclass
class InputQuantization:
    """Puts inputs on a grid.

    Args:
        name: Of the parameter.
        quantization: Format and rounding.
        generator: Source of the draws of stochastic rounding.
        computed: Whether the values are computed, as those that layers and neurons take. They are rounded to nearest
            on a grid of 8 more bits first, so that values that are on the grid but for the last digits of float32 stay.
        agreement: Between two runs that are compared; None for all others.
    """

    name: str
    quantization: ParameterQuantization
    generator: torch.Generator
    computed: bool = False
    agreement: Agreement | None = None

    def __call__(self, value: Tensor) -> Tensor:
        """``value`` on the grid, saturated, with a gradient straight through."""
        if not self.computed:
            return store_state(self.name, value, self.quantization, self.generator)
        finer = 2.0 ** (self.quantization.format.fraction_bits + _FINER)
        nearly = value + ((value.detach() * finer).round() / finer - value.detach())
        rounded = store_state(self.name, nearly, self.quantization, self.generator)
        if self.agreement is None or is_of_vmap(value):
            return rounded
        return self.agreement.settle(self.name, value, rounded, self.quantization.format.resolution)


class QuantizedInput:
    """Mixin of a network, a layer or neurons, whose input is rounded and saturated where it enters."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        quantization: InputQuantization = self.__dict__["_input_quantization"]
        rounded = {name: quantize_input(value, quantization) for name, value in kwargs.items()}
        return super().forward(*quantize_input(args, quantization), **rounded)  # type: ignore[misc]


def agree(network: nn.Module, agreement: Agreement) -> None:
    """Let what layers and neurons take be rounded in agreement, in place."""
    for module in network.modules():
        quantization = module.__dict__.get("_input_quantization")
        if quantization is not None:
            quantization.agreement = agreement
