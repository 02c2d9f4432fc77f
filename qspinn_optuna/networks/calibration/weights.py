"""Formats of weights, and of the scales of layers that have them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.fixed_point import GridKind, QFormat
from qspinn_optuna.networks.calibration.observation import WIDEST, add_values
from qspinn_optuna.networks.discovery.discovery import synapse_weights
from qspinn_optuna.networks.modules.channel_scale import (
    SHIFT_BITS,
    ChannelScale,
    fitted_scales,
    plan_of,
    scaled_weight_format,
)
from qspinn_optuna.networks.ranges import RangeMethod, SeenValues, calibrated_spec
from qspinn_optuna.parameters import Family, ParameterSpec

_MID_TREAD = (GridKind.MID_TREAD,)

_SCALED_BITS = (1, 2, 4, 8)
"""Widths of weights whose scales are looked at: narrow weights are clipped, so that their scales are smaller."""


class WeightFormats:
    """Makes parameters of weights and of what scales them.

    Args:
        network: Whose weights they are.
        generator: Of the samples of values.
        method: How the range of weights without scales is made.
        percentile: Part of the values that is kept, in percent, if ``method`` is that one.
        grids: Of the weights of layers; others have mid-tread grids.

    Raises:
        ValueError: If a grid is unknown.
    """

    def __init__(
        self,
        network: nn.Module,
        generator: torch.Generator,
        method: RangeMethod,
        percentile: float,
        grids: tuple[GridKind, ...],
    ) -> None:
        self._network = network
        self._generator = generator
        self._method = method
        self._percentile = percentile
        self._grids = tuple(dict.fromkeys(GridKind(grid) for grid in grids))
        self._of_layers = synapse_weights(network)

    def spec(self, name: str, family: Family, values: Tensor, max_bits: int) -> ParameterSpec:
        """Weights, of at most so many bits; those with scales in formats from -1 to 1."""
        grids = self._grids if name in self._of_layers else _MID_TREAD
        # Codes of mid-rise formats have one more digit.
        limit = max_bits - int(GridKind.MID_RISE in grids)
        if name in self._of_layers and plan_of(self._owner(name)) is not None:
            formats = tuple(scaled_weight_format(bits, grid) for grid in grids for bits in range(1, limit + 1))
            return ParameterSpec(name, family, values.numel(), -1.0, 1.0, max_bits=limit, formats=formats, grids=grids)
        seen = SeenValues(self._generator)
        add_values(seen, name, values, kept=values.numel())
        return calibrated_spec(name, family, values.numel(), seen, limit, self._method, self._percentile, grids=grids)

    def scale_spec(self, name: str) -> ParameterSpec:
        """The scales of a layer, or their exponents, as they are fitted to its weights of several widths."""
        module: Any = self._owner(name)
        plan = plan_of(module)
        assert plan is not None
        channels = len(module.weight)
        if plan.kind is ChannelScale.POWER_OF_TWO:
            formats = tuple(QFormat(bits - 1, 0) for bits in range(1, SHIFT_BITS + 1))
            low, high = formats[-1].min, formats[-1].max
            return ParameterSpec(name, Family.SCALE, channels, low, high, max_bits=SHIFT_BITS, formats=formats)
        seen = SeenValues(self._generator)
        for bits in _SCALED_BITS:
            seen.add(fitted_scales(module.weight, scaled_weight_format(bits, self._grids[0])), kept=channels)
        return calibrated_spec(name, Family.SCALE, channels, seen, WIDEST, self._method, self._percentile)

    def _owner(self, name: str) -> nn.Module:
        return self._network.get_submodule(name.rpartition(".")[0])
