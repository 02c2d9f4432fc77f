"""A scale per output channel of a layer: weights are grid values between -1 and 1, times the scale of their channel.

The device adds up grid values, multiplies each sum by the scale of its channel, or shifts it, adds the bias, and rounds
once to an accumulator, as :mod:`~.channel_affine` has it. Before a network is quantized, a layer only knows that it
will have scales: they are fitted to its weights and the format that these get.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qspinn_optuna.fixed_point import GridKind, QFormat, Rounding, quantize
from qspinn_optuna.fixed_point.exporting import is_exporting
from qspinn_optuna.networks.modules.channel_affine import accumulated
from qspinn_optuna.networks.modules.derivation import OnGrid
from qspinn_optuna.vocabulary import Vocabulary

_PLAN = "_channel_scale_plan"

_PARTS = np.geomspace(0.05, 1.2, 28)
"""Scales that are tried, as parts of the one whose format holds all weights."""

_BESIDE = (0.97, 1.03, 0.985, 1.015, 0.993, 1.007)
"""Scales that are tried then, as parts of the best one so far."""

_OCTAVES = 2.0 ** np.arange(-5, 2)
"""Scales that are tried of powers of two."""

SHIFT_BITS = 5
"""Widest exponent: of scales from 2**-16 to 2**15."""

_SPATIAL: dict[type[nn.Module], int] = {nn.Linear: 0, nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
"""Dimensions of the output behind that of the channels, of layers that can have scales."""


class ChannelScale(Vocabulary):
    """What the sum of an output channel is multiplied by.

    Example:
        >>> ChannelScale.FACTOR.parameter, ChannelScale.POWER_OF_TWO.parameter
        ('scale', 'shift')
    """

    FACTOR = "factor"
    """A number of some bits: a multiplication. The parameter "layer.scale"."""

    POWER_OF_TWO = "power-of-two"
    """A power of two, of which the exponent is stored: a shift. The parameter "layer.shift"."""

    @property
    def parameter(self) -> str:
        """Name of the stored parameter in its layer."""
        return "scale" if self is ChannelScale.FACTOR else "shift"


@dataclass(frozen=True)
class ScalePlan:
    """The scales that a layer will have.

    Args:
        kind: What is stored of them.
        fraction_bits: Of the accumulator to which scaled sums are rounded.
    """

    kind: ChannelScale
    fraction_bits: int


def can_be_scaled(module: nn.Module) -> bool:
    """Whether a layer can have scales: linear ones and convolutions can."""
    return isinstance(module, tuple(_SPATIAL))


def plan_of(module: nn.Module) -> ScalePlan | None:
    """The scales that a layer will have, or has; None if there are none."""
    plan: ScalePlan | None = module.__dict__.get(_PLAN)
    return plan


def plan_scale(module: nn.Module, plan: ScalePlan) -> None:
    """Let a layer have scales once it is quantized, in place."""
    module.__dict__[_PLAN] = plan


def scaled_weight_format(bits: int, grid: GridKind) -> QFormat:
    """The format of a width whose values fill -1 to 1, as those of scaled weights do."""
    return QFormat(0, bits - 1 + int(grid is GridKind.MID_RISE), grid=grid)


@torch.no_grad()
def fitted_scales(weight: Tensor, fmt: QFormat, kind: ChannelScale = ChannelScale.FACTOR) -> Tensor:
    """The scale of each channel with the least squared error of ``scale * grid value``; 0 of a channel of zeros.

    At one bit mid-rise it is twice the mean magnitude of the channel, as in Rastegari et al. 2016
    (https://arxiv.org/abs/1603.05279).

    Args:
        weight: [channels, ...].
        fmt: Of the grid values.
        kind: Whether scales are powers of two.

    Returns:
        Scales, float64, [channels].
    """
    rows = weight.detach().double().flatten(1).cpu()
    widest = rows.abs().amax(1, keepdim=True) / max(fmt.max, -fmt.min)
    best, least = torch.zeros_like(widest), rows.square().sum(1, keepdim=True)
    power_of_two = kind is ChannelScale.POWER_OF_TWO
    tries = [widest * part for part in (_OCTAVES if power_of_two else _PARTS)]
    # What is not found among a few is found beside the best of them.
    for beside in (None,) if power_of_two else (None, *_BESIDE):
        for tried in tries if beside is None else [best * beside]:
            scales = torch.where(tried > 0, tried.log2().floor().exp2(), 0.0) if power_of_two else tried
            grid = quantize(torch.where(scales > 0, rows / scales, 0.0), fmt, Rounding.NEAREST)
            if not power_of_two:
                power = grid.square().sum(1, keepdim=True)
                scales = torch.where(power > 0, (rows * grid).sum(1, keepdim=True) / power, 0.0).clamp_(min=0)
            error = (rows - scales * grid).square().sum(1, keepdim=True)
            best, least = torch.where(error < least, scales, best), torch.minimum(error, least)
    return best.flatten()


@torch.no_grad()
def add_scale(name: str, module: Any, fmt: QFormat) -> None:
    """Divide the weights of a layer by scales, which become its parameter ``scale`` or ``shift``, in place.

    Args:
        name: Of the layer, for errors.
        module: A layer for which scales are planned.
        fmt: Of its weights.

    Raises:
        ValueError: If a channel of zeros has a mid-rise format and powers of two, neither of which has a 0.
    """
    plan = plan_of(module)
    assert plan is not None
    weight: nn.Parameter = module._parameters["weight"]
    scales = fitted_scales(weight, fmt, plan.kind)
    stored = scales
    if plan.kind is ChannelScale.POWER_OF_TWO:
        empty = scales == 0
        if fmt.is_mid_rise and bool(empty.any()):
            raise ValueError(
                f"{name}.weight has {int(empty.sum())} channels of zeros, which are neither in the mid-rise format "
                f"{fmt} nor times a power of two: take ChannelScale.FACTOR, or a mid-tread grid."
            )
        stored = torch.where(empty, 1.0, scales).log2()
    column = scales.view(-1, *[1] * (weight.ndim - 1)).to(weight)
    weight.copy_(torch.where(column > 0, weight / column, 0.0))
    module.register_parameter(plan.kind.parameter, nn.Parameter(stored.to(weight), weight.requires_grad))


@torch.no_grad()
def mean_scale(module: nn.Module) -> float:
    """The mean scale of a quantized layer, by which its weights were divided; 1 if it has none."""
    plan = plan_of(module)
    if plan is None or not isinstance(module, ScaledSums):
        return 1.0
    stored: Any = module._parameters[plan.kind.parameter]
    return float((stored if plan.kind is ChannelScale.FACTOR else stored.exp2()).mean())


class ScaledSums:
    """Mixin of quantized layers with scales: their sums, without a bias, are scaled."""

    bias = None
    """The layer adds none to the sums of grid values: it is added to the scaled ones."""

    _parameters: dict[str, Any]
    _parameter_quantizers: dict[str, Any]

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Scaled sums of products, plus a bias, on the grid of the accumulator."""
        return self.scale_sums(super().forward(x, *args, **kwargs))  # type: ignore[misc]

    def scale_sums(self, sums: Tensor) -> Tensor:
        """Sums of grid values, times scales, plus the bias, rounded to the accumulator."""
        plan = plan_of(self)  # type: ignore[arg-type]
        assert plan is not None
        shape = [1] * sums.ndim
        shape[self.channel_axis] = -1
        # A training does without the digits beyond those of its type: it is no measurement.
        dtype = sums.dtype if torch.is_grad_enabled() and sums.requires_grad else torch.float64
        exact = sums.to(dtype) * self._scales(plan).to(dtype).view(shape)
        offset = self.stored_bias
        if offset is not None:
            exact = exact + offset.to(dtype).view(shape)
        return accumulated(exact, plan.fraction_bits).to(sums.dtype)

    @property
    def channel_axis(self) -> int:
        """Dimension of the channels in the output, from its end."""
        return -1 - next(count for kind, count in _SPATIAL.items() if isinstance(self, kind))

    @property
    def stored_bias(self) -> Tensor | None:
        """The bias on its grid, if there is one."""
        stored: Tensor | None = self._parameters.get("bias")
        if stored is None or isinstance(self, OnGrid):
            return stored
        found: Tensor = self._parameter_quantizers["bias"](stored)
        return found

    def _scales(self, plan: ScalePlan) -> Tensor:
        stored: Tensor = getattr(self, plan.kind.parameter)
        return stored if plan.kind is ChannelScale.FACTOR else _powers_of_two(stored)


def _powers_of_two(exponents: Tensor) -> Tensor:
    """Exactly, which functions of floating point need not be, with the gradient of a power."""
    if is_exporting():
        return exponents.exp2()
    exact = torch.from_numpy(np.ldexp(1.0, exponents.detach().cpu().numpy().astype(np.int64))).to(exponents)
    smooth = exponents.exp2()
    return exact + (smooth - smooth.detach())
