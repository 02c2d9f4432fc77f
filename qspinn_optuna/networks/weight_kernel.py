"""Large parameters to their grids in a single pass over memory, which is what takes the time of an update."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import njit
from torch import Tensor

from qspinn_optuna.fixed_point import ParameterQuantization, Rounding

_SMALLEST = 1 << 15
"""Elements from which the kernel is worth its compilation."""

_EXACT_BITS = 24
"""Widest format whose codes float32 holds."""

_INFINITY = np.int32(0x7F800000)
"""Bits of infinity in float32; those of a finite number without its sign are less, those of NaN more."""

_MAGNITUDE = np.int32(0x7FFFFFFF)
"""All bits of a float32 number but its sign."""

_Floats = npt.NDArray[np.float32]


def put_on_grid(values: Tensor, quantization: ParameterQuantization, seen: Tensor) -> tuple[Tensor, bool] | None:
    """:func:`~qspinn_optuna.fixed_point.quantize`, and a copy of the values, and whether they fit, all at once.

    Args:
        values: Of a parameter.
        quantization: Format and rounding.
        seen: Where the copy is written; of the shape and type of ``values``.

    Returns:
        Grid values, and whether all values are within the range of the format; None if the kernel does not serve
        them: small arrays, draws, other types or devices than float32 on the CPU, values that are not finite.
    """
    fmt = quantization.format
    serves = (
        values.numel() >= _SMALLEST
        and values.dtype == torch.float32
        and values.device.type == "cpu"
        and values.is_contiguous()
        and seen.is_contiguous()
        and quantization.rounding is not Rounding.STOCHASTIC
        and fmt.bits <= _EXACT_BITS
        # Smaller scales may make a negative number zero, larger ones are no float32.
        and 0 <= fmt.fraction_bits <= _EXACT_BITS
    )
    if not serves:
        return None
    grid = torch.empty_like(values)
    arrays: list[Any] = [tensor.view(-1).numpy() for tensor in (values, seen, grid)]
    arguments: list[Any] = [np.float32(c) for c in (2.0**fmt.fraction_bits, fmt.resolution, fmt.min_code, fmt.max_code)]
    kernel: Any = _put_on_grid
    fits, finite = kernel(*arrays, *arguments, quantization.rounding is Rounding.NEAREST)
    return (grid, fits) if finite else None


@njit(cache=True, nogil=True, error_model="numpy")
def _put_on_grid(
    values: _Floats, seen: _Floats, grid: _Floats, scale: Any, resolution: Any, first: Any, last: Any, nearest: bool
) -> tuple[bool, bool]:
    """Whether all values are within the range, and whether all are finite.

    NOTE: both are kept in integers, since compilers do not vectorize the smallest and largest of floats, for NaN.
    """
    low, high = first * resolution, last * resolution
    bits = values.view(np.int32)
    beyond, largest = np.int32(0), np.int32(0)
    for index in range(values.size):
        value = values[index]
        seen[index] = value
        scaled = value * scale
        code = np.floor(scaled)
        if nearest:
            code += np.float32(1.0) if scaled - code >= np.float32(0.5) else np.float32(0.0)
        code = code if code >= first else first
        code = code if code <= last else last
        grid[index] = code * resolution
        beyond |= np.int32(value < low) | np.int32(value > high)
        magnitude = bits[index] & _MAGNITUDE
        largest = magnitude if magnitude > largest else largest
    return beyond == 0, largest < _INFINITY
