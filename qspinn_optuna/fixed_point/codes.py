"""Values to integer codes and back."""

from __future__ import annotations

import torch
from torch import Tensor

from qspinn_optuna.fixed_point.qformat import QFormat
from qspinn_optuna.fixed_point.rounding import Rounding
from qspinn_optuna.fixed_point.values import rounded_codes


def encode(
    x: Tensor, fmt: QFormat, rounding: Rounding = Rounding.NEAREST, generator: torch.Generator | None = None
) -> Tensor:
    """The integer codes of ``x`` in ``fmt``: ``decode(encode(x, ...), fmt)`` equals ``quantize(x, ...)``.

    Example:
        >>> encode(torch.tensor([0.3, -0.3, 5.0]), QFormat(0, 3), Rounding.NEAREST)
        tensor([ 2, -2,  7], dtype=torch.int32)

    Args:
        x: Values of any shape, float32 or float64.
        fmt: The format.
        rounding: What happens to values between two grid points; values on the grid are kept by every rounding.
        generator: Source of the draws of stochastic rounding; torch's global generator if not given.

    Returns:
        Codes between ``fmt.min_code`` and ``fmt.max_code``, int32, of the shape and device of ``x``; odd ones if the
        format is mid-rise.

    Raises:
        TypeError: If ``x`` is neither float32 nor float64.
        ValueError: If ``x`` holds NaN or an infinity, or ``rounding`` is unknown.
    """
    return rounded_codes(x, fmt, rounding, generator).to(torch.int32)


def decode(codes: Tensor, fmt: QFormat, dtype: torch.dtype = torch.float32) -> Tensor:
    """The values of integer codes: ``codes * fmt.unit``.

    Example:
        >>> decode(torch.tensor([2, -3]), QFormat(0, 3))
        tensor([ 0.2500, -0.3750])

    Args:
        codes: Integers of any shape.
        fmt: Their format.
        dtype: Type of the result, float32 or float64; both hold every code exactly.

    Returns:
        Values of the shape and device of ``codes``.

    Raises:
        TypeError: If ``codes`` are not integers, or ``dtype`` is neither float32 nor float64.
        ValueError: If a code is outside ``fmt``.
    """
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise TypeError(f"codes must be an integer tensor, got {codes.dtype}.")
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"dtype must be float32 or float64, got {dtype}.")
    if codes.numel() > 0:
        low, high = (int(end) for end in torch.aminmax(codes.to(torch.int64)))
        if low < fmt.min_code or high > fmt.max_code:
            raise ValueError(f"codes of {fmt} must lie between {fmt.min_code} and {fmt.max_code}, got {low} to {high}.")
        if fmt.is_mid_rise and bool((codes.to(torch.int64) % 2 == 0).any()):
            raise ValueError(f"codes of {fmt}, a mid-rise format, must be odd, got even ones.")
    return codes.to(dtype) * fmt.unit
