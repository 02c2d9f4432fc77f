"""The chances of input spikes as C: a formula where one gives them all, which saves their table."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

from qspinn_optuna.export.packing import PackedArray, pack
from qspinn_optuna.integer import Codes

_MOST = 2**32
"""The formula is computed in 32 bits."""

_FINEST = 24
"""Largest shift that is tried."""


def expression(chances: Codes) -> str:
    """The chance of ``value``, 1 to 255, in C."""
    found = _formula(chances)
    bits, largest = chances.format.bits, chances.format.max_code
    if found is None:
        return f"snn_read(snn_chances, (value) * {bits}u, {bits}u)"
    factor, shift = found
    line = f"(((value) * {factor}u + {_half(shift)}u) >> {shift})"
    if 255 * factor + _half(shift) >> shift > largest:
        return f"({line} < {largest}u ? {line} : {largest}u)"
    return line


def table(chances: Codes) -> PackedArray | None:
    """The chances as an array, if no formula gives them. The footprint does not count it."""
    if _formula(chances) is not None:
        return None
    packed = pack("chances", "Chance of a spike for each value of a pixel.", chances.array, chances.format.bits)
    return replace(packed, bits=0)


def _formula(chances: Codes) -> tuple[int, int] | None:
    """Factor and shift of ``value * factor + half >> shift``, which is cut at the largest code."""
    codes = [int(code) for code in chances.array]
    for shift in range(_FINEST, -1, -1):
        factor = _factor(codes, shift, chances.format.max_code)
        if factor is not None:
            return factor, shift
    return None


def _factor(codes: list[int], shift: int, largest: int) -> int | None:
    """The smallest factor that gives every code but that of 0: such pixels never spike."""
    low, high = 0, (_MOST - 1 - _half(shift)) // (len(codes) - 1)
    for value, code in list(enumerate(codes))[1:]:
        low = max(low, ceil(Fraction((code << shift) - _half(shift), value)))
        if code < largest:
            high = min(high, floor(Fraction((code + 1 << shift) - 1 - _half(shift), value)))
    return low if low <= high else None


def _half(shift: int) -> int:
    return (1 << shift) >> 1
