"""Widths of accumulators, by interval arithmetic: the sums that the constants of a network can reach, and no more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.integer.node import Node, check_whole

WIDTHS = (8, 16, 32, 64)
"""Widths of the integers of a device."""

_LARGEST = 2**62
"""Magnitude that no accumulator may reach: :mod:`~qspinn_optuna.fixed_point.integer_rounding` adds to it."""


class Interval(NamedTuple):
    """Smallest and largest value that a variable can have."""

    low: int
    high: int

    def __add__(self, other: Interval) -> Interval:  # type: ignore[override]
        return Interval(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __lshift__(self, bits: int) -> Interval:
        return Interval(self.low << bits, self.high << bits)

    def times(self, factor: Interval) -> Interval:
        """All products of a value of this interval and one of another."""
        products = [a * b for a in self for b in factor]
        return Interval(min(products), max(products))


def hull(intervals: Iterable[Interval]) -> Interval:
    """The smallest interval that holds all of these."""
    several = list(intervals)
    return Interval(min(one.low for one in several), max(one.high for one in several))


def range_of(codes: NDArray[np.integer]) -> Interval:
    """From the smallest to the largest of some codes."""
    return Interval(int(codes.min()), int(codes.max()))


def range_of_sums(weights: NDArray[np.integer]) -> Interval:
    """What a sum over any of the inputs can reach, partial sums included, [inputs, neurons]."""
    wide = weights.astype(np.int64)
    low = np.minimum(wide, 0).sum(axis=0).min()
    high = np.maximum(wide, 0).sum(axis=0).max()
    return Interval(int(low), int(high))


def signed_width(interval: Interval) -> int:
    """The narrowest of 8, 16, 32 and 64 bits whose two's complement holds an interval.

    Raises:
        ValueError: If 62 bits and a sign do not hold it.
    """
    if not -_LARGEST < interval.low <= interval.high < _LARGEST:
        raise ValueError(
            f"accumulators must stay below 2**62, got {interval.low} to {interval.high}: "
            "give the parameters fewer bits."
        )
    return next(bits for bits in WIDTHS if -(1 << bits - 1) <= interval.low and interval.high < 1 << bits - 1)


@dataclass(frozen=True, eq=False)
class Accumulators(Node):
    """Widths of a layer's signed accumulators in bits: 8, 16, 32 or 64.

    Example:
        >>> stdp_layer.accumulators.charged
        16

    Args:
        current: Of an input current.
        charged: Of a charged membrane and all that it is added of, before bits are dropped.
        margin: Of a membrane minus its threshold.
    """

    current: int
    charged: int
    margin: int

    def __post_init__(self) -> None:
        for name in ("current", "charged", "margin"):
            check_whole(name, getattr(self, name), 8, 64)
