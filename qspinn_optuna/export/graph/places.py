"""Where arrays lie in the memory of a device, and how C reads and writes their codes."""

from __future__ import annotations

from dataclasses import dataclass

from qspinn_optuna.export.packing import WORD, c_integer

SIGNED = {8: "int8_t", 16: "int16_t", 32: "int32_t", 64: "int64_t"}
"""Types of accumulators, by their width."""

_SMALL = 2**31
"""Constants below are computed with in 32 bits."""

_BEYOND = 62
"""No accumulator holds ``2**62``: what is shifted this far is 0."""


@dataclass(frozen=True)
class Place:
    """Where the codes of an array lie.

    Args:
        pointer: To the first, in C, where ``state`` and ``input`` are known.
        element: Type of an element in C: a word of codes where they are packed.
        bits: Of a packed code; 0 if each has an element.
        lowest: Code that a packed 0 stands for.
        count: Codes; 0 if there may be any number.
        stride: Of the codes that are packed one after the other: 2 of mid-rise ones, which are odd.
    """

    pointer: str
    element: str
    bits: int = 0
    lowest: int = 0
    count: int = 0
    stride: int = 1

    @property
    def holds_spikes(self) -> bool:
        """Whether the codes are bits, 0 or 1."""
        return self.bits == 1 and self.lowest == 0

    @property
    def needs_input(self) -> bool:
        """Whether the codes are read where the caller has them."""
        return self.pointer == "input"

    def load(self, kind: str, index: str, pointer: str | None = None) -> str:
        """The code with a number, as a type of C.

        Args:
            kind: The type.
            index: The number: a name, or in parentheses.
            pointer: Another name of the pointer, in a function that takes it.
        """
        base = pointer or self.pointer
        if not self.bits:
            return f"({kind}){base}[{index}]"
        mask, in_word = (1 << self.bits) - 1, WORD // self.bits
        if 0 < self.count <= in_word:
            code = f"({kind})({base}[0] >> {index} * {self.bits}u & {mask}u)"
        elif WORD % self.bits == 0:
            code = f"({kind})({base}[{index} / {in_word}u] >> {index} % {in_word}u * {self.bits}u & {mask}u)"
        else:
            code = f"({kind})snn_read({base}, {index} * {self.bits}u, {self.bits}u)"
        code = times(code, self.stride)
        return f"({code} + {c_integer(self.lowest)})" if self.lowest else code

    def store(self, index: str, value: str, pointer: str | None = None) -> str:
        """The statement that puts a value, of a signed type, in the place of the code with a number."""
        base = pointer or self.pointer
        if not self.bits:
            return f"{base}[{index}] = ({self.element})({value});"
        code = f"{value} - {c_integer(self.lowest)}" if self.lowest else value
        return f"snn_write({base}, {index} * {self.bits}u, {self.bits}u, (uint32_t)({code}));"


def computing(width: int, *constants: int) -> str:
    """The type to compute with: of 32 bits if they hold the accumulator and all constants, else of 64."""
    return "int32_t" if width <= WORD and all(abs(constant) < _SMALL for constant in constants) else "int64_t"


def unit(shift: int) -> int:
    """The factor that shifts codes, which may be negative, to the left."""
    return 1 << shift if shift < _BEYOND else 0


def in_reach(constant: int) -> int:
    """A product of constants that codes are multiplied by: 0 if they can only be 0."""
    return constant if abs(constant) < 1 << _BEYOND else 0


def times(value: str, factor: int) -> str:
    """A product, in C."""
    return value if factor == 1 else f"{value} * {c_integer(factor)}"


def words(bits: int) -> int:
    """Words of 32 bits that hold some bits."""
    return -(-bits // WORD)
