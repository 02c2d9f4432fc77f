"""Formats of scaled weights and of their scales."""

from __future__ import annotations

from typing import Any

import torch

from qspinn_optuna.fixed_point import GridKind, QFormat
from qspinn_optuna.networks.modules.channel_scale import (
    SHIFT_BITS,
    ChannelScale,
    fitted_scales,
    plan_of,
    scaled_weight_format,
)
from qspinn_optuna.networks.ranges import RangeMethod, SeenValues, calibrated_spec
from qspinn_optuna.parameters import Family, ParameterSpec

_WIDEST_SCALE = 16

_WEIGHT_BITS = (1, 2, 4, 8)
"""Widths of weights whose scales are looked at: narrow weights are clipped, so that their scales are smaller."""


def scaled_weight_spec(name: str, count: int, max_bits: int, grids: tuple[GridKind, ...]) -> ParameterSpec:
    """Weights in units of their scale: formats between -1 and 1."""
    formats = tuple(scaled_weight_format(bits, grid) for grid in grids for bits in range(1, max_bits + 1))
    return ParameterSpec(name, Family.WEIGHT, count, -1.0, 1.0, max_bits=max_bits, formats=formats, grids=grids)


def scale_spec(
    name: str, module: Any, generator: torch.Generator, method: RangeMethod, percentile: float
) -> ParameterSpec:
    """The scales of a layer, or their exponents, as they are fitted to its weights of several widths."""
    plan = plan_of(module)
    assert plan is not None
    channels = len(module.weight)
    if plan.kind is ChannelScale.POWER_OF_TWO:
        formats = tuple(QFormat(bits - 1, 0) for bits in range(1, SHIFT_BITS + 1))
        low, high = formats[-1].min, formats[-1].max
        return ParameterSpec(name, Family.SCALE, channels, low, high, max_bits=SHIFT_BITS, formats=formats)
    seen = SeenValues(generator)
    for bits in _WEIGHT_BITS:
        scales = fitted_scales(module.weight, scaled_weight_format(bits, GridKind.MID_RISE))
        seen.add(scales, kept=channels)
    return calibrated_spec(name, Family.SCALE, channels, seen, _WIDEST_SCALE, method, percentile)
