"""Real numbers as codes, as the network takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.integer.coding import ValueCoding
from qspinn_optuna.integer.keyed_rounding import rounding_bits

_DRAW = 2.0**-32
"""Step of a draw, as a fraction."""


def encode(coding: ValueCoding, values: NDArray[np.floating], first_sample: int = 0) -> NDArray[np.int64]:
    """Codes of real numbers, rounded as the coding says and saturated.

    Example:
        >>> encode(model.coding, sample.numpy().swapaxes(0, 1)).shape
        (1, 10, 16)

    Args:
        coding: Of the network.
        values: float32 or float64, [samples, steps, ...], or [samples, ...] if every step takes the same.
        first_sample: Number of the first sample, which keys the draws of stochastic rounding.

    Returns:
        int64, of the shape of ``values``.

    Raises:
        TypeError: If the values are not of floating point.
        ValueError: If their shape is another, or one of them is not finite, or ``first_sample`` is negative.
    """
    if values.dtype.kind != "f":
        raise TypeError(f"values must be of floating point, got {values.dtype}.")
    check_samples("values", values.shape, coding, first_sample)
    if not np.isfinite(values).all():
        raise ValueError("values must be finite, got NaN or an infinity.")
    fmt = coding.quantization.format
    y = np.ldexp(values.astype(np.float64), fmt.fraction_bits)
    match coding.quantization.rounding:
        case Rounding.TRUNCATION:
            rounded = np.floor(y)
        case Rounding.NEAREST:
            rounded = np.floor(y)
            # NOTE: floor(y + 0.5) is wrong where y + 0.5 has more digits than a float.
            rounded += y - rounded >= 0.5
        case Rounding.STOCHASTIC:
            rounded = _stochastic(y, _fractions(coding, first_sample, len(values)))
    return np.clip(rounded, fmt.min_code, fmt.max_code).astype(np.int64)


def check_samples(name: str, shape: tuple[int, ...], coding: ValueCoding, first_sample: int) -> None:
    """Refuse what are no samples for a coding.

    Raises:
        ValueError: If the shape is another, or the number of the first sample negative.
    """
    wanted = coding.shape if coding.repeated else (coding.steps, *coding.shape)
    if not shape or shape[1:] != wanted:
        raise ValueError(f"{name} must have the shape [samples, {', '.join(map(str, wanted))}], got {shape}.")
    if first_sample < 0:
        raise ValueError(f"first_sample must not be negative, got {first_sample}.")


def _fractions(coding: ValueCoding, first_sample: int, samples: int) -> NDArray[np.float64]:
    """Draws in [0, 1), of the shape of the values. What is repeated is drawn once, as at step 0."""
    numbers = first_sample + np.arange(samples)
    if coding.repeated:
        return rounding_bits(coding.key, numbers, 0, coding.shape).astype(np.float64) * _DRAW
    steps = [rounding_bits(coding.key, numbers, t, coding.shape) for t in range(coding.steps)]
    return np.stack(steps, axis=1).astype(np.float64) * _DRAW


def _stochastic(y: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
    """``floor(y + r)`` as if the sum had all its digits.

    The part of y behind its point is exact, and so is ``1 - r``; y is cut toward zero, since the distance to the floor
    of a tiny negative number is none that a float holds.
    """
    whole = np.trunc(y)
    rest = y - whole
    return whole + (rest >= 1 - r) - (rest < -r)
