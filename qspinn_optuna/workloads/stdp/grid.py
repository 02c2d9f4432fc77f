"""Rounding to a grid inside the kernels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.fixed_point.draws import draw

# Roundings by number, as the kernels know them.
EXACT = 0
TRUNCATION = 1
NEAREST = 2
STOCHASTIC = 3

_NUMBERS = {Rounding.TRUNCATION: TRUNCATION, Rounding.NEAREST: NEAREST, Rounding.STOCHASTIC: STOCHASTIC}
_S32 = np.uint64(32)


class Grid(NamedTuple):
    """A format and a rounding, as the kernels know them; ``low`` and ``high`` are codes."""

    resolution: float
    low: float
    high: float
    rounding: int


UNQUANTIZED = Grid(1.0, -np.inf, np.inf, EXACT)
"""Values are left as they are."""


def grid_of(quantization: ParameterQuantization) -> Grid:
    """The grid of a parameter's quantization."""
    fmt = quantization.format
    return Grid(fmt.resolution, float(fmt.min_code), float(fmt.max_code), _NUMBERS[quantization.rounding])


@njit(cache=True)
def to_grid(value: float, grid: Grid, key: np.uint64, index: int) -> float:
    """``value`` on the grid, saturated; stochastic rounding takes the upper 32 bits of draw ``index`` of ``key``.

    Exact for a value with at most 52 bits, that is for every sum of products of grid values that the kernels form.
    """
    if grid.rounding == EXACT:
        return value
    scaled = value / grid.resolution
    code = np.floor(scaled)
    if grid.rounding == NEAREST:
        code += np.float64(scaled - code >= 0.5)
    elif grid.rounding == STOCHASTIC:
        code += np.float64(scaled - code + np.float64(draw(key, index) >> _S32) * 2.0**-32 >= 1.0)
    result: float = min(max(code, grid.low), grid.high) * grid.resolution
    return result
