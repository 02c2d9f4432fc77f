"""The input of a network: whether it is in fixed point already, what a device keeps of it, and its rounding."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.networks.batches import Inputs, mapped, tensors
from qspinn_optuna.networks.keyed_draws import DrawSource, input_steps
from qspinn_optuna.networks.neurons import store_state
from qspinn_optuna.networks.watching import run, watched

INPUT = "input"
"""Name of the parameter: of the network, or of a layer whose input is rounded."""

_FINER = 8
"""Bits of what layers take, beyond those of its format, to which it is rounded first."""

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
    """Whether a parameter is the input of the network, or what one of its layers takes."""
    return name.rpartition(".")[2] == INPUT


def quantize_input(value: Any, put_on_grid: Callable[[Tensor], Tensor]) -> Any:
    """Arguments of a network with their floating-point tensors on the grid."""
    if isinstance(value, Tensor):
        return put_on_grid(value) if value.is_floating_point() else value
    if isinstance(value, tuple | list):
        return type(value)(quantize_input(part, put_on_grid) for part in value)
    return value


@dataclass
class InputQuantization:
    """Puts inputs on a grid.

    Args:
        name: Of the parameter.
        quantization: Format and rounding.
        draws: Of stochastic rounding.
        computed: Whether the values are computed, as those that layers take. They are rounded to nearest on a grid of
            8 more bits first, so that the last digits of float32 decide nothing.
    """

    name: str
    quantization: ParameterQuantization
    draws: DrawSource
    computed: bool = False
    _read: int = field(default=0, init=False)
    _resets: int = field(default=0, init=False)

    @property
    def finer_bits(self) -> int | None:
        """Bits beyond those of the format, to which computed values are rounded first; None of values that are not."""
        return _FINER if self.computed else None

    def entered(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The arguments of a call, which is the next step, or several, on the grid."""
        presentation = self.draws.presentation
        if not presentation.has_states or self._resets != presentation.resets:
            self._read, self._resets = 0, presentation.resets
        arrays, steps = itertools.count(), [1]

        def put_on_grid(value: Tensor) -> Tensor:
            grid, taken = self._on_grid(value, next(arrays))
            steps.append(taken)
            return grid

        rounded = quantize_input((args, tuple(kwargs.values())), put_on_grid)
        self._read += max(steps)
        return rounded[0], dict(zip(kwargs, rounded[1], strict=True))

    def _on_grid(self, value: Tensor, array: int) -> tuple[Tensor, int]:
        """``value`` on the grid, saturated, with a gradient straight through, and how many steps it is of."""
        if self.computed:
            finer = 2.0 ** (self.quantization.format.fraction_bits + _FINER)
            value = value + ((value.detach() * finer).round() / finer - value.detach())
        by_step = self._steps_of(value)
        if by_step is None or self.quantization.rounding is not Rounding.STOCHASTIC or not self.draws.is_keyed:
            grid = store_state(self.name, value, self.quantization, self.draws.at(self._read, array))
            return grid, 1 if by_step is None else len(by_step)
        stored = [
            store_state(self.name, one, self.quantization, self.draws.at(self._read + step, array))
            for step, one in enumerate(by_step)
        ]
        return torch.stack(stored).view(value.shape), len(stored)

    def _steps_of(self, value: Tensor) -> Tensor | None:
        """``value`` as [steps, samples, ...]; None if it is of one step."""
        if self.computed and getattr(self.draws.module, "step_mode", "s") == "m":
            return value
        return input_steps(value, self.draws.presentation)


class QuantizedInput:
    """Mixin of a network, or of a layer, whose input is rounded and saturated where it enters."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        quantization: InputQuantization = self.__dict__["_input_quantization"]
        args, kwargs = quantization.entered(args, kwargs)
        return super().forward(*args, **kwargs)  # type: ignore[misc]
