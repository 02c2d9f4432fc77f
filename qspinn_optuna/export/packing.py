"""Arrays of codes as words of 32 bits, and constants as C writes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORD = 32
_WORDS_A_LINE = 8
_MOST_BITS = 2**32
"""Positions of bits are numbers of 32 bits."""


@dataclass(frozen=True)
class PackedArray:
    """A constant array of the C program.

    Args:
        name: Its name in C, without prefix.
        comment: What it holds.
        bits: Bits of its codes: what the footprint counts.
        words: The bits, the lowest of the first word first, uint32.
    """

    name: str
    comment: str
    bits: int
    words: NDArray[np.uint32]

    @property
    def bytes(self) -> int:
        """Bytes on the device."""
        return self.words.nbytes

    def definition(self) -> str:
        """The array in C."""
        numbers = [f"0x{word:08X}u" for word in self.words.tolist()]
        lines = [", ".join(numbers[k : k + _WORDS_A_LINE]) for k in range(0, len(numbers), _WORDS_A_LINE)]
        body = ",\n    ".join(lines)
        return f"/* {self.comment} */\nstatic const uint32_t snn_{self.name}[{len(numbers)}] = {{\n    {body}\n}};\n"


def pack(name: str, comment: str, codes: NDArray[np.integer], width: int) -> PackedArray:
    """Codes that are not negative, each in ``width`` bits, one after the other.

    Raises:
        ValueError: If they take 2**32 bits or more.
    """
    return pack_bits(name, comment, bits_of(codes.ravel(), width).ravel())


def pack_bits(name: str, comment: str, bits: NDArray[np.bool_]) -> PackedArray:
    """Bits in their order; errors as in :func:`pack`."""
    if bits.size >= _MOST_BITS:
        raise ValueError(f"{name} must take fewer than 2**32 bits, got {bits.size}.")
    padded = np.zeros(-(-bits.size // WORD) * WORD, np.bool_)
    padded[: bits.size] = bits
    return PackedArray(name, comment, bits.size, np.packbits(padded, bitorder="little").view("<u4").astype(np.uint32))


def bits_of(codes: NDArray[np.integer], width: int) -> NDArray[np.bool_]:
    """The bits of codes, the lowest first, [..., width]."""
    bits: NDArray[np.bool_] = (codes.astype(np.int64)[..., None] >> np.arange(width) & 1).astype(np.bool_)
    return bits


def c_integer(value: int) -> str:
    """An integer constant of 32 bits, or of 64 if it needs them."""
    if not -(2**63) < value < 2**63:
        raise ValueError(f"constants must fit 64 bits, got {value}.")
    text = f"INT32_C({abs(value)})" if abs(value) < 2**31 else f"INT64_C({abs(value)})"
    return f"(-{text})" if value < 0 else text


def c_unsigned(value: int) -> str:
    """An unsigned constant of 64 bits."""
    return f"UINT64_C(0x{value:016X})"
