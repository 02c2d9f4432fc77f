"""The roundings of the simulations, which compute in floating point: on tensors, and inside of kernels.

One function cannot serve both: torch works on whole tensors with draws of a generator, numba on single values with
keyed draws. They stand together since they are the same three roundings, exact wherever floating point can be, and are
tested together with those of integers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from qspinn_optuna.fixed_point.draws import draw
from qspinn_optuna.fixed_point.integer_rounding import NEAREST, ROUNDING_NUMBERS, STOCHASTIC
from qspinn_optuna.fixed_point.qformat import QFormat
from qspinn_optuna.fixed_point.quantization import ParameterQuantization
from qspinn_optuna.fixed_point.rounding import Rounding

EXACT = 0
"""Number of the rounding that leaves values as they are; the others are those of integers."""

_S32 = np.uint64(32)


def round_values(x: Tensor, fmt: QFormat, rounding: Rounding, draws: Tensor | None) -> Tensor:
    """Saturated codes of values with any digits, as floating-point integers of the type of ``x``.

    Every step is exact in floating point, so the result is that of real numbers.

    Args:
        x: Finite values.
        fmt: The format.
        rounding: The rounding; stochastic with ``draws``, and only then.
        draws: Uniform in [0, 1), of the shape and type of ``x``, multiples of the type's smallest draw.
    """
    y = x * 2.0**fmt.fraction_bits
    if fmt.fraction_bits < 0:
        # NOTE: a tiny negative number may have become zero, although its floor is -1.
        y.masked_fill_((y == 0) & (x < 0), -torch.finfo(y.dtype).tiny)
    if draws is not None:
        codes = _round_stochastically(y, draws)
    elif rounding is Rounding.NEAREST:
        codes = _round_to_nearest(y)
    else:
        codes = _whole(y, np.floor)
    return codes.clamp_(fmt.min_code, fmt.max_code)


def _whole(y: Tensor, function: np.ufunc) -> Tensor:
    """``np.floor`` or ``np.trunc`` of a tensor on any device.

    NOTE: torch computes both with MKL, which wakes threads for a few thousand numbers already. On a busy machine they
    spin for milliseconds, where numpy takes microseconds.
    """
    if y.device.type == "cpu":
        result = torch.empty_like(y)
        function(y.numpy(), out=result.numpy())
        return result
    return y.floor() if function is np.floor else y.trunc()


def _round_to_nearest(y: Tensor) -> Tensor:
    # NOTE: floor(y + 0.5) is wrong where y + 0.5 is not a floating-point number: at 0.49999997 and above 2**23.
    floor = _whole(y, np.floor)
    return floor.add_(y.sub_(floor).ge_(0.5))


def _round_stochastically(y: Tensor, draws: Tensor) -> Tensor:
    """floor(y + u), as if y + u had all its digits.

    With t = y cut toward zero, r = y - t has the sign of y and is exact. The floor of t + r + u is t + 1 where
    r >= 1 - u, t - 1 where r < -u, else t; 1 - u is exact too, as u is a multiple of its type's smallest draw.
    """
    toward_zero = _whole(y, np.trunc)
    remainder = y.sub_(toward_zero)
    up = remainder >= 1 - draws
    down = remainder < -draws
    return toward_zero.add_(up).sub_(down.to(y.dtype))


def round_positions(y: Tensor, rounding: Rounding, generator: torch.Generator | None) -> Tensor:
    """Round to integers, in place, numbers of which 23 bits hold all digits; the caller saturates.

    A faster :func:`round_values` for neurons, whose potentials are never wider. Stochastic rounding takes one
    ``torch.rand(y.shape)``.
    """
    if rounding is Rounding.STOCHASTIC:
        # In float32 on the CPU, whatever y is: an evaluation in float64, or on another device, repeats the draws.
        draws = torch.rand(y.shape, generator=generator).to(y.device)
        floor = y.floor()
        return floor.add_(draws >= 1 - y.sub_(floor))
    if rounding is Rounding.NEAREST:
        y.add_(0.5)
    return y.floor_()


class Grid(NamedTuple):
    """A format and a rounding, as kernels know them.

    Args:
        resolution: Distance between two grid points.
        low: Smallest code.
        high: Largest code.
        rounding: Number of the rounding.
    """

    resolution: float
    low: float
    high: float
    rounding: int


UNQUANTIZED = Grid(1.0, -np.inf, np.inf, EXACT)
"""Values are left as they are."""


def grid_of(quantization: ParameterQuantization) -> Grid:
    """The grid of a parameter's quantization."""
    fmt = quantization.format
    return Grid(fmt.resolution, float(fmt.min_code), float(fmt.max_code), ROUNDING_NUMBERS[quantization.rounding])


@njit(cache=True)
def round_to_grid(value: float, grid: Grid, key: np.uint64, index: int) -> float:
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
