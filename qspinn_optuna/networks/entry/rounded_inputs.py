"""What enters a network, a layer or neurons, rounded and saturated where it enters."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.networks.entry.agreement import Agreement
from qspinn_optuna.networks.modules.fixed_point_classes import takes_fixed_point_step
from qspinn_optuna.networks.modules.keyed_draws import DrawSource, input_steps
from qspinn_optuna.networks.modules.neurons import store_state
from qspinn_optuna.networks.modules.support import SYNAPSES, has_states
from qspinn_optuna.networks.running.nested import is_of_vmap

_FINER = 8
"""Bits of what layers and neurons take, beyond those of its format, to which it is rounded first."""


def takes_rounded_input(module: nn.Module) -> bool:
    """Whether what a module takes may be rounded where it enters: that of synapses, and of steps in fixed point."""
    return isinstance(module, SYNAPSES) or (has_states(module) and takes_fixed_point_step(module))


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
        computed: Whether the values are computed, as those that layers and neurons take. They are rounded to nearest
            on a grid of 8 more bits first, so that values that are on the grid but for the last digits of float32 stay.
        agreement: Between two runs that are compared; None for all others.
    """

    name: str
    quantization: ParameterQuantization
    draws: DrawSource
    computed: bool = False
    agreement: Agreement | None = None
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
            grid, taken = self.on_grid(value, next(arrays))
            steps.append(taken)
            return grid

        rounded = quantize_input((args, tuple(kwargs.values())), put_on_grid)
        self._read += max(steps)
        return rounded[0], dict(zip(kwargs, rounded[1], strict=True))

    def on_grid(self, value: Tensor, array: int) -> tuple[Tensor, int]:
        """``value`` on the grid, saturated, with a gradient straight through, and how many steps it is of."""
        if not self.computed:
            return self._stored(value, array)
        finer = 2.0 ** (self.quantization.format.fraction_bits + _FINER)
        grid, steps = self._stored(value + ((value.detach() * finer).round() / finer - value.detach()), array)
        if self.agreement is None or is_of_vmap(value):
            return grid, steps
        return self.agreement.settle(self.name, value, grid, self.quantization.format.resolution), steps

    def _stored(self, value: Tensor, array: int) -> tuple[Tensor, int]:
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
    """Mixin of a network, a layer or neurons, whose input is rounded and saturated where it enters."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        quantization: InputQuantization = self.__dict__["_input_quantization"]
        args, kwargs = quantization.entered(args, kwargs)
        return super().forward(*args, **kwargs)  # type: ignore[misc]


def agree(network: nn.Module, agreement: Agreement) -> None:
    """Let what layers and neurons take be rounded in agreement, in place."""
    for module in network.modules():
        quantization = module.__dict__.get("_input_quantization")
        if quantization is not None:
            quantization.agreement = agreement
