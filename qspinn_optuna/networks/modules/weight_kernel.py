"""Large parameters to their grids in a single pass over memory, which is what takes the time of an update."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor

from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.fixed_point.integer_rounding import NEAREST, ROUNDING_NUMBERS, STOCHASTIC

_SMALLEST = 1 << 15
"""Elements from which the kernel is worth its compilation."""

_CHUNK = 1 << 15
"""Elements that get their draws at a time: draws stay in the cache until they are used."""

_EXACT_BITS = 24
"""Widest format whose codes float32 holds."""

_INFINITY = np.int32(0x7F800000)
"""Bits of infinity in float32; those of a finite number without its sign are less, those of NaN more."""

_MAGNITUDE = np.int32(0x7FFFFFFF)
"""All bits of a float32 number but its sign."""

_Floats = npt.NDArray[np.float32]


def put_on_grid(
    values: Tensor, quantization: ParameterQuantization, seen: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor | None] | None:
    """:func:`~qspinn_optuna.fixed_point.quantize`, and a copy of the values, and which are within the range.

    Args:
        values: Of a parameter.
        quantization: Format and rounding.
        seen: Where the copy is written; of the shape and type of ``values``.
        generator: Source of the draws, which are those of ``quantize``.

    Returns:
        Grid values, and where the values are within the range of the format, None if all are. Or None, with nothing
        drawn, if the kernel does not serve them: small arrays, other types or devices than float32 on the CPU, values
        that are not finite.
    """
    fmt = quantization.format
    serves = (
        values.numel() >= _SMALLEST
        and values.dtype == torch.float32
        and values.device.type == "cpu"
        and values.is_contiguous()
        and seen.is_contiguous()
        and fmt.bits <= _EXACT_BITS
        and not fmt.is_mid_rise
        # Smaller scales may make a negative number zero, larger ones are no float32.
        and 0 <= fmt.fraction_bits <= _EXACT_BITS
    )
    if not serves:
        return None
    grid = torch.empty_like(values)
    arrays: list[Any] = [tensor.view(-1).numpy() for tensor in (values, seen, grid)]
    arguments: list[Any] = [np.float32(c) for c in (2.0**fmt.fraction_bits, fmt.resolution, fmt.min_code, fmt.max_code)]
    arguments.append(ROUNDING_NUMBERS[quantization.rounding])
    if quantization.rounding is Rounding.STOCHASTIC:
        fits, finite = _with_draws(arrays, arguments, generator)
    else:
        kernel: Any = _round
        fits, finite = kernel(*arrays, np.empty(0, np.float32), *arguments)
    if not finite:
        return None
    return grid, None if fits else _inside(values, np.float32(fmt.min), np.float32(fmt.max))


def _with_draws(arrays: list[_Floats], arguments: list[Any], generator: torch.Generator) -> tuple[bool, bool]:
    """What the kernel gives, with the numbers of one ``torch.rand`` for all of the values, in their order."""
    before = generator.get_state()
    memory = torch.empty(_CHUNK)
    kernel: Any = _round
    fits = finite = True
    for start in range(0, arrays[0].size, _CHUNK):
        parts = [array[start : start + _CHUNK] for array in arrays]
        draws = memory[: parts[0].size].uniform_(generator=generator).numpy()
        part_fits, part_finite = kernel(*parts, draws, *arguments)
        fits, finite = fits and part_fits, finite and part_finite
    if not finite:
        generator.set_state(before)
    return fits, finite


def _inside(values: Tensor, low: np.float32, high: np.float32) -> Tensor:
    inside = torch.empty(values.shape, dtype=torch.bool)
    mark: Any = _mark_inside
    mark(values.view(-1).numpy(), inside.view(-1).numpy(), low, high)
    return inside


@njit(cache=True, nogil=True, error_model="numpy")
def _round(
    values: _Floats,
    seen: _Floats,
    grid: _Floats,
    draws: _Floats,
    scale: Any,
    resolution: Any,
    first: Any,
    last: Any,
    rounding: int,
) -> tuple[bool, bool]:
    """Whether all values are within the range, and whether all are finite; ``draws`` are of stochastic rounding only.

    NOTE: both are kept in integers, since compilers do not vectorize the smallest and largest of floats, for NaN.
    """
    zero, half, one = np.float32(0.0), np.float32(0.5), np.float32(1.0)
    low, high = first * resolution, last * resolution
    bits = values.view(np.int32)
    beyond, largest = np.int32(0), np.int32(0)
    for index in range(values.size):
        value = values[index]
        seen[index] = value
        scaled = value * scale
        if rounding == STOCHASTIC:
            # The floor of the value plus the draw as if it had all its digits, as quantize has it.
            code = np.trunc(scaled)
            remainder, draw = scaled - code, draws[index]
            code += one if remainder >= one - draw else zero
            code -= one if remainder < -draw else zero
        else:
            code = np.floor(scaled)
            if rounding == NEAREST:
                code += one if scaled - code >= half else zero
        # NOTE: not > and <, which would change the sign of a zero.
        code = code if code >= first else first
        code = code if code <= last else last
        grid[index] = code * resolution
        beyond |= np.int32(value < low) | np.int32(value > high)
        magnitude = bits[index] & _MAGNITUDE
        largest = magnitude if magnitude > largest else largest
    return bool(beyond == 0), bool(largest < _INFINITY)


@njit(cache=True, nogil=True)
def _mark_inside(values: _Floats, inside: npt.NDArray[np.bool_], low: np.float32, high: np.float32) -> None:
    for index in range(values.size):
        inside[index] = (values[index] >= low) & (values[index] <= high)
