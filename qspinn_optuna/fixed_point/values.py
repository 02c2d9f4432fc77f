"""Values to the grid of a format: the pure function, then its straight-through twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from qspinn_optuna.fixed_point.exporting import is_exporting
from qspinn_optuna.fixed_point.qformat import QFormat
from qspinn_optuna.fixed_point.rounding import Rounding
from qspinn_optuna.fixed_point.simulated_rounding import round_values

_CHUNK = 1 << 17
"""Elements rounded at a time on the CPU: they stay in the cache through all the steps."""


def quantize(x: Tensor, fmt: QFormat, rounding: Rounding, generator: torch.Generator | None = None) -> Tensor:
    """Put ``x`` on the grid of ``fmt``, saturating at its ends.

    The gradient is passed straight through where ``x`` lies within the range of ``fmt``, and is zero outside
    (Bengio et al. 2013, https://arxiv.org/abs/1308.3432).

    Example:
        >>> x = torch.tensor([0.3, 5.0], requires_grad=True)
        >>> y = quantize(x, QFormat(0, 3), Rounding.NEAREST)
        >>> y.sum().backward()
        >>> y.detach(), x.grad
        (tensor([0.2500, 0.8750]), tensor([1., 0.]))

    Args:
        x: Values of any shape, float32 or float64.
        fmt: The format.
        rounding: What happens to values between two grid points.
        generator: Source of the draws of stochastic rounding, one ``torch.rand(x.shape, dtype=x.dtype)`` a call;
            torch's global generator if not given. The other roundings draw nothing.

    Returns:
        Grid values, of the shape, type and device of ``x``.

    Raises:
        TypeError: If ``x`` is neither float32 nor float64.
        ValueError: If ``x`` holds NaN or an infinity, or ``rounding`` is unknown.
    """
    if is_exporting():
        return _exported(x.detach(), fmt, Rounding(rounding), generator)
    grid = _rounded(x, fmt, Rounding(rounding), generator, fmt.unit)
    if x.requires_grad and torch.is_grad_enabled():
        straight: Tensor = _StraightThrough.apply(x, [grid], fmt.min, fmt.max)  # type: ignore[no-untyped-call]
        return straight
    return grid


def rounded_codes(x: Tensor, fmt: QFormat, rounding: Rounding, generator: torch.Generator | None) -> Tensor:
    """The saturated codes of ``x`` as floating-point integers; arguments and errors as in :func:`quantize`."""
    return _rounded(x, fmt, Rounding(rounding), generator, 1.0)


class _StraightThrough(torch.autograd.Function):
    """Forward: the grid values. Backward: the identity within the range of the format, zero outside.

    The values come in a list, so that torch makes no view of them, which could not be changed in place.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: list[Tensor], low: float, high: float) -> Tensor:
        ctx.save_for_backward((x >= low) & (x <= high))
        return grid[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (inside,) = ctx.saved_tensors
        # NOTE: not a product, since infinity times zero is NaN.
        return gradients[0].masked_fill(~inside, 0.0), None, None, None


def _exported(x: Tensor, fmt: QFormat, rounding: Rounding, generator: torch.Generator | None) -> Tensor:
    """Grid values by operations that ``torch.export`` takes: no arrays, and no values that decide what is done."""
    draws = None
    if rounding is Rounding.STOCHASTIC:
        draws = torch.rand(x.shape, dtype=x.dtype, device=x.device, generator=generator)
    return round_values(x, fmt, rounding, draws) * fmt.unit


@torch.no_grad()
def _rounded(x: Tensor, fmt: QFormat, rounding: Rounding, generator: torch.Generator | None, unit: float) -> Tensor:
    """Codes of ``x`` times ``unit``."""
    check_values(x)
    draws = None
    if rounding is Rounding.STOCHASTIC:
        draws = torch.rand(x.shape, dtype=x.dtype, device=x.device, generator=generator)
    if x.device.type != "cpu":
        return round_values(x, fmt, rounding, draws).mul_(unit)
    out = torch.empty(x.shape, dtype=x.dtype)
    source, target = x.reshape(-1).numpy(), out.view(-1).numpy()
    with np.errstate(over="ignore", invalid="ignore"):  # A value that becomes infinite saturates as others do.
        for start in range(0, x.numel(), _CHUNK):
            part = slice(start, start + _CHUNK)
            part_draws = None if draws is None else draws.view(-1).numpy()[part]
            np.multiply(round_values(source[part], fmt, rounding, part_draws), unit, out=target[part])
    return out


def check_values(x: Tensor) -> None:
    """Refuse what :func:`quantize` cannot round; errors as there."""
    if not isinstance(x, Tensor):
        raise TypeError(f"x must be a tensor, got {type(x).__name__}: torch.as_tensor makes one of it.")
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"x must be a float32 or float64 tensor, got {x.dtype}.")
    if x.numel() == 0:
        return
    # An infinity or NaN is an end.
    if x.device.type == "cpu":
        values = x.detach().numpy()
        finite = bool(np.isfinite(values.min()) and np.isfinite(values.max()))
    else:
        finite = bool(torch.isfinite(torch.stack(torch.aminmax(x))).all())
    if not finite:
        count = int((~torch.isfinite(x)).sum())
        raise ValueError(f"x must be finite to be quantized, got {count} NaN or infinite of {x.numel()} values.")
