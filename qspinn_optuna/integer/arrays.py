"""What is known of the arrays of a graph before it runs: shapes, grids, ranges, and the widths that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import prod

from qspinn_optuna.integer.accumulators import WIDTHS, Interval, hull, signed_width
from qspinn_optuna.integer.node import Node, check_name, check_whole, check_wholes


class Purpose(StrEnum):
    """What an operation computes on the way to its result.

    Example:
        >>> [purpose.value for purpose in Purpose]
        ['charged', 'compared', 'rounded']
    """

    CHARGED = "charged"
    """Membranes before they are stored: factors, products, sums in any order, and what rounding adds."""

    COMPARED = "compared"
    """Charged membranes and thresholds on one grid."""

    ROUNDED = "rounded"
    """What :class:`~.operations.Affine` and :class:`~.operations.Requantization` round, and what rounding adds."""


@dataclass(frozen=True, eq=False)
class Array(Node):
    """An array of one sample at one time step. Its values are ``code * 2**-fraction_bits``.

    Example:
        >>> array = model.network.array("1.v")
        >>> array.shape, array.fraction_bits, array.width
        ((8,), 3, 8)

    Args:
        name: Of the array.
        shape: Its shape.
        fraction_bits: Bits after the binary point.
        low: No code is below.
        high: No code is above.
        width: Of signed integers that hold the codes, and factors and sums on the way to them: 8, 16, 32 or 64 bits.
    """

    name: str
    shape: tuple[int, ...]
    fraction_bits: int
    low: int
    high: int
    width: int

    def __post_init__(self) -> None:
        check_name("name", self.name)
        check_wholes("shape", self.shape, 1)
        _check_range(self.low, self.high, self.width)

    @property
    def elements(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def interval(self) -> Interval:
        """Range of the codes."""
        return Interval(self.low, self.high)


@dataclass(frozen=True, eq=False)
class Accumulator(Node):
    """What an operation computes on the way to its result.

    Example:
        >>> [(accumulator.purpose.value, accumulator.width) for accumulator in model.network.accumulators]
        [('charged', 16), ('compared', 16)]

    Args:
        operation: Name of its result.
        purpose: What it holds.
        fraction_bits: Bits after the binary point.
        low: No code is below.
        high: No code is above.
        width: Of signed integers that hold the codes, in bits: 8, 16, 32 or 64.
    """

    operation: str
    purpose: Purpose
    fraction_bits: int
    low: int
    high: int
    width: int

    def __post_init__(self) -> None:
        check_name("operation", self.operation)
        object.__setattr__(self, "purpose", Purpose(self.purpose))
        _check_range(self.low, self.high, self.width)

    @property
    def interval(self) -> Interval:
        """Range of the codes."""
        return Interval(self.low, self.high)


def array_of(name: str, shape: tuple[int, ...], fraction_bits: int, codes: Interval, *passed: Interval) -> Array:
    """An array with codes of an interval, whose sums pass through other intervals.

    Raises:
        ValueError: If no accumulator is wide enough.
    """
    return Array(name, shape, fraction_bits, *codes, signed_width(hull([codes, *passed])))


def accumulator_of(operation: str, purpose: Purpose, fraction_bits: int, codes: Interval) -> Accumulator:
    """An accumulator of an operation.

    Raises:
        ValueError: If it would be too wide.
    """
    return Accumulator(operation, purpose, fraction_bits, *codes, signed_width(codes))


def _check_range(low: int, high: int, width: int) -> None:
    check_whole("width", width, WIDTHS[0], WIDTHS[-1])
    if low > high:
        raise ValueError(f"low must not be above high, got {low} and {high}.")
