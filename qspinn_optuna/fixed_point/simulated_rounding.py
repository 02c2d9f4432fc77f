"""The roundings of the simulations, which compute in floating point: on tensors, and inside of kernels.

One function cannot serve both: torch works on whole tensors, with draws of a generator or by key, numba on single
values with keyed draws. They stand together since they are the same three roundings, exact wherever floating point can
be, and are tested together with those of integers.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor

from qspinn_optuna.fixed_point.draws import draw
from qspinn_optuna.fixed_point.exporting import is_exporting
from qspinn_optuna.fixed_point.integer_rounding import NEAREST, ROUNDING_NUMBERS, STOCHASTIC
from qspinn_optuna.fixed_point.keyed_rounding import KeyedDraws
from qspinn_optuna.fixed_point.qformat import QFormat
from qspinn_optuna.fixed_point.quantization import ParameterQuantization
from qspinn_optuna.fixed_point.rounding import Rounding

Floats = TypeVar("Floats", npt.NDArray[np.floating[Any]], Tensor)
"""An array or a tensor of floating-point numbers."""

Draws: TypeAlias = torch.Generator | KeyedDraws | None
"""Where draws come from: a generator, torch's global one if there is none, or the keys of samples at a step."""

EXACT = 0
"""Number of the rounding that leaves values as they are; the others are those of integers."""

_S32 = np.uint64(32)


def round_values(x: Floats, fmt: QFormat, rounding: Rounding, draws: Floats | None) -> Floats:
    """Saturated codes of values with any digits, as floating-point integers of the type of ``x``.

    Every step is exact in floating point, so the result is that of real numbers. Arrays serve the CPU, tensors the
    other devices: they have the same functions by the same names, and numpy wakes no threads, which torch does for
    a few thousand numbers and which on a busy machine spin for longer than the work takes.

    Args:
        x: Finite values.
        fmt: The format.
        rounding: The rounding; stochastic with ``draws``, and only then.
        draws: Uniform in [0, 1), of the shape and type of ``x``, multiples of the type's smallest draw.
    """
    xp: Any = np if isinstance(x, np.ndarray) else torch
    shift = fmt.fraction_bits - int(fmt.is_mid_rise)
    y = x * 2.0**shift
    if shift < 0:
        # NOTE: a tiny negative number may have become zero, although its floor is -1.
        y[(y == 0) & (x < 0)] = -xp.finfo(y.dtype).tiny
    codes = _odd_codes(xp, y, rounding, draws) if fmt.is_mid_rise else _codes(xp, y, rounding, draws)
    return cast(Floats, xp.clip(codes, fmt.min_code, fmt.max_code, out=codes))


def _codes(xp: Any, y: Floats, rounding: Rounding, draws: Floats | None) -> Floats:
    """Positions rounded to integers; they are lost."""
    if draws is not None:
        return _round_stochastically(xp, y, draws)
    return _round_to_nearest(xp, y) if rounding is Rounding.NEAREST else cast(Floats, xp.floor(y))


def _odd_codes(xp: Any, y: Floats, rounding: Rounding, draws: Floats | None) -> Floats:
    """Positions rounded to the middles between integers, as codes of half a step; they are lost.

    NOTE: y - 1/2 may have more digits than a float. The middle nearest to y is that of the integers around it; the
    middle below y is half a step below the integer that is nearest to it; and a draw moves y by half a step less.
    """
    if draws is not None:
        up = draws >= 0.5
        codes: Any = _round_stochastically(xp, y, xp.where(up, draws - 0.5, draws + 0.5))
        return cast(Floats, 2 * codes + xp.where(up, 1, -1))
    codes = xp.floor(y) if rounding is Rounding.NEAREST else _round_to_nearest(xp, y)
    return cast(Floats, 2 * codes + (1 if rounding is Rounding.NEAREST else -1))


def _round_to_nearest(xp: Any, y: Floats) -> Floats:
    # NOTE: floor(y + 0.5) is wrong where y + 0.5 is not a floating-point number: at 0.49999997 and above 2**23.
    codes: Floats = xp.floor(y)
    codes += xp.subtract(y, codes, out=y) >= 0.5
    return codes


def _round_stochastically(xp: Any, y: Floats, draws: Floats) -> Floats:
    """floor(y + u), as if y + u had all its digits.

    With t = y cut toward zero, r = y - t has the sign of y and is exact. The floor of t + r + u is t + 1 where
    r >= 1 - u, t - 1 where r < -u, else t; 1 - u is exact too, as u is a multiple of its type's smallest draw.
    """
    codes: Floats = xp.trunc(y)
    remainder = xp.subtract(y, codes, out=y)
    codes += remainder >= 1 - draws
    codes -= xp.where(remainder < -draws, 1, 0)
    return codes


def round_positions(y: Tensor, rounding: Rounding, draws: Draws) -> Tensor:
    """Round to integers, in place, numbers of which 23 bits hold all digits; the caller saturates.

    A faster :func:`round_values` for neurons, whose potentials are never wider. Stochastic rounding takes keyed draws,
    or one ``torch.rand(y.shape)`` of a generator.
    """
    if rounding is Rounding.STOCHASTIC:
        if isinstance(draws, KeyedDraws):
            return draws.round(y, by_kernel=y.device.type == "cpu" and not is_exporting())
        # In float32 on the CPU, whatever y is: an evaluation in float64, or on another device, repeats the draws.
        drawn = torch.rand(y.shape, generator=draws).to(y.device)
        floor = y.floor()
        return floor.add_(drawn >= 1 - y.sub_(floor))
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
    """The grid of a parameter's quantization.

    Raises:
        ValueError: If the format is mid-rise, which kernels do not have.
    """
    fmt = quantization.format
    if fmt.is_mid_rise:
        raise ValueError(f"format must have a 0 where a network learns by STDP, got {fmt}, a mid-rise one.")
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
