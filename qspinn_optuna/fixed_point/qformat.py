"""Fixed-point formats."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from qspinn_optuna.fixed_point.grid_kind import GridKind

MAX_BITS = 24
"""Widest format: float32 holds every integer of 24 bits exactly, and the simulation runs in float32."""

_MAX_EXPONENT = 100
"""Bound on |n|, so that resolution and range are normal float32 numbers."""

_MAX_RANGE_EXPONENT = _MAX_EXPONENT - MAX_BITS
"""Bound on the exponent of a calibrated range, which every width can cover."""

_NAME = re.compile(r"(M?)(U?)Q(0|-?[1-9][0-9]*)\.(0|-?[1-9][0-9]*)")


@dataclass(frozen=True)
class QFormat:
    """The fixed-point format Qm.n: a value is an integer code times ``2**-n``.

    Codes of a mid-rise grid are odd: their lowest bit, which is always 1, is not stored. A value is
    ``(2 * k + 1) * 2**-n`` then, k the integer of ``bits`` bits that is stored, so that sums and products of codes are
    those of any format.

    Example:
        >>> fmt = QFormat(integer_bits=1, fraction_bits=3)
        >>> print(fmt, fmt.bits, fmt.min, fmt.max, fmt.resolution)
        Q1.3 5 -2.0 1.875 0.125
        >>> print(QFormat.covering(-1.0, 0.8, bits=4), QFormat.parse("MQ0.1").max)
        Q0.3 0.5

    Args:
        integer_bits: m, the bits before the binary point. May be negative.
        fraction_bits: n, the bits after it. May be negative.
        signed: Whether there is a sign bit (two's complement) besides the m + n bits.
        grid: Whether 0 is a value.

    Raises:
        ValueError: If a code has fewer bits than 1 or more than 24, or |n| is over 100.
    """

    integer_bits: int
    fraction_bits: int
    signed: bool = True
    grid: GridKind = GridKind.MID_TREAD

    def __post_init__(self) -> None:
        for name in ("integer_bits", "fraction_bits"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, got {value!r}.")
        if not isinstance(self.signed, bool):
            raise TypeError(f"signed must be a bool, got {self.signed!r}.")
        object.__setattr__(self, "grid", GridKind(self.grid))
        if not 1 <= self.bits <= MAX_BITS:
            raise ValueError(
                f"integer_bits + fraction_bits + signed{' - 1' if self.is_mid_rise else ''} must be between 1 and "
                f"{MAX_BITS}, got {self.bits} (integer_bits={self.integer_bits}, fraction_bits={self.fraction_bits}, "
                f"signed={self.signed}, grid={self.grid.value!r})."
            )
        if abs(self.fraction_bits) > _MAX_EXPONENT:
            raise ValueError(
                f"fraction_bits must be between -{_MAX_EXPONENT} and {_MAX_EXPONENT}, got {self.fraction_bits}."
            )

    @property
    def bits(self) -> int:
        """Width of a stored code, the sign bit included."""
        return self.integer_bits + self.fraction_bits + int(self.signed) - int(self.is_mid_rise)

    @property
    def is_mid_rise(self) -> bool:
        """Whether codes are odd, so that there is no 0."""
        return self.grid is GridKind.MID_RISE

    @property
    def stride(self) -> int:
        """Distance between two codes."""
        return 2 if self.is_mid_rise else 1

    @property
    def unit(self) -> float:
        """The value of code 1."""
        return math.ldexp(1.0, -self.fraction_bits)

    @property
    def resolution(self) -> float:
        """Distance between two grid points."""
        return self.stride * self.unit

    @property
    def min_code(self) -> int:
        """Smallest code."""
        if self.is_mid_rise:
            return -self.max_code if self.signed else 1
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def max_code(self) -> int:
        """Largest code."""
        return (1 << (self.integer_bits + self.fraction_bits)) - 1

    @property
    def min(self) -> float:
        """Smallest value."""
        return self.min_code * self.unit

    @property
    def max(self) -> float:
        """Largest value."""
        return self.max_code * self.unit

    def __str__(self) -> str:
        return f"{'M' if self.is_mid_rise else ''}{'' if self.signed else 'U'}Q{self.integer_bits}.{self.fraction_bits}"

    @classmethod
    def parse(cls, text: str) -> QFormat:
        """The format that prints as ``text``, such as "Q1.6", "UQ0.8", or "MQ0.1" of a mid-rise grid.

        Raises:
            ValueError: If ``text`` is no such name.
        """
        match = _NAME.fullmatch(text)
        if match is None:
            raise ValueError(f'text must be the name of a format such as "Q1.6" or "UQ0.8", got {text!r}.')
        mid_rise, unsigned, integer_bits, fraction_bits = match.groups()
        grid = GridKind.MID_RISE if mid_rise else GridKind.MID_TREAD
        return cls(int(integer_bits), int(fraction_bits), signed=not unsigned, grid=grid)

    @classmethod
    def covering(cls, low: float, high: float, bits: int, grid: GridKind = GridKind.MID_TREAD) -> QFormat:
        """The finest format of ``bits`` bits whose range holds ``low`` and ``high``; signed if ``low`` is negative.

        A mid-rise format holds a range if no value of it is further than half a step from one of the format.

        Raises:
            ValueError: If the range is not finite, is upside down or (0, 0), or its larger end is not between 2**-76
                and 2**76; if ``bits`` is outside 1-24, or no format of that width holds the range.
        """
        check_range(low, high)
        signed = low < 0
        if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= MAX_BITS:
            raise ValueError(f"bits must be an integer between 1 and {MAX_BITS}, got {bits!r}.")
        mid_rise = GridKind(grid) is GridKind.MID_RISE
        if signed and bits == 1 and high > 0 and not mid_rise:
            raise ValueError(
                f"No signed format of 1 bit holds ({low}, {high}), since its codes are -1 and 0: give at least 2 bits."
            )
        # |low| and high are at most 2**m, m the exponent of the larger; start there and widen until both ends fit.
        largest = max(abs(low), abs(high))
        integer_bits = math.frexp(largest)[1] - 1
        if not 2.0**-_MAX_RANGE_EXPONENT <= largest <= 2.0**_MAX_RANGE_EXPONENT:
            raise ValueError(
                f"The larger end of the range must be between 2**-{_MAX_RANGE_EXPONENT} and 2**{_MAX_RANGE_EXPONENT}, "
                f"got {largest:g}: scale it."
            )
        while True:
            candidate = cls(integer_bits, bits - int(signed) - integer_bits + int(mid_rise), signed, GridKind(grid))
            beyond = candidate.unit if mid_rise else 0.0
            if candidate.min - beyond <= low and high <= candidate.max + beyond:
                return candidate
            integer_bits += 1


def check_range(low: float, high: float) -> None:
    """Refuse a range that no parameter can have.

    Raises:
        ValueError: If ``low`` or ``high`` is not finite, ``low`` is over ``high``, or both are 0.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"low and high must be finite, got ({low}, {high}).")
    if low > high:
        raise ValueError(f"low must not be over high, got ({low}, {high}): swap them.")
    if low == 0 and high == 0:
        raise ValueError("The range is (0, 0): every format holds it. Calibrate on data that reaches the parameter.")
