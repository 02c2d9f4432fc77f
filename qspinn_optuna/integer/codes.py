"""Arrays of integer codes with their format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.integer.node import Node, frozen_array


@dataclass(frozen=True, eq=False)
class Codes(Node):
    """A constant of the network as a device stores it: a value is ``array * 2**-format.fraction_bits``.

    Example:
        >>> weights = Codes(np.array([[7, -3, 5]]), QFormat.parse("Q0.4"))
        >>> weights.bits
        15

    Args:
        array: Integer codes of any shape. Copied into the narrowest type of 8, 16 or 32 bits that holds the format.
        format: Their format.

    Raises:
        TypeError: If ``array`` is no array of integers, or ``format`` no format.
        ValueError: If ``array`` is empty, or a code is outside of the format, or even although the format is mid-rise.
    """

    array: NDArray[np.integer]
    format: QFormat

    def __post_init__(self) -> None:
        if not isinstance(self.format, QFormat):
            raise TypeError(f"format must be a QFormat, got {self.format!r}.")
        if not isinstance(self.array, np.ndarray) or self.array.dtype.kind not in "iu":
            raise TypeError(f"array must be a numpy array of integers, got {type(self.array).__name__}.")
        if self.array.size == 0:
            raise ValueError(f"array must not be empty, got shape {self.array.shape}.")
        low, high = int(self.array.min()), int(self.array.max())
        if low < self.format.min_code or high > self.format.max_code:
            raise ValueError(
                f"array must hold codes of {self.format}, {self.format.min_code} to {self.format.max_code}, "
                f"got {low} to {high}."
            )
        if self.format.is_mid_rise and not bool((self.array % 2 == 1).all()):
            raise ValueError(f"array must hold odd codes of {self.format}, a mid-rise format, got even ones.")
        object.__setattr__(self, "array", frozen_array(self.array, narrowest_type(self.format)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape

    @property
    def bits(self) -> int:
        """Memory in bits: elements times the width of a code."""
        return self.array.size * self.format.bits


def narrowest_type(fmt: QFormat) -> type[np.integer]:
    """The narrowest type of numpy that holds the codes of a format."""
    # The lowest bit of odd codes, which is not stored, is there when they are computed with.
    bits = fmt.bits + int(fmt.is_mid_rise)
    for width, signed, unsigned in ((8, np.int8, np.uint8), (16, np.int16, np.uint16)):
        if bits <= width:
            return signed if fmt.signed else unsigned
    return np.int32 if fmt.signed else np.uint32
