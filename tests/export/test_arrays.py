"""Packed arrays, formulas of chances and hashes, against plain definitions."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qspinn_optuna.export import chances, packing
from qspinn_optuna.export.vectors import HASH_FACTOR, hash_of
from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.integer import Codes, linear_chances


@given(st.integers(1, 24), st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=40))
def test_codes_follow_each_other_without_gaps(width: int, numbers: list[int]) -> None:
    codes = [number % 2**width for number in numbers]
    packed = packing.pack("codes", "", np.array(codes), width)
    stream = sum(code << width * k for k, code in enumerate(codes))
    assert packed.bits == width * len(codes)
    assert packed.bytes == 4 * -(-packed.bits // 32)
    assert sum(word << 32 * k for k, word in enumerate(packed.words.tolist())) == stream


@pytest.mark.parametrize(("value", "text"), [(5, "INT32_C(5)"), (-5, "(-INT32_C(5))"), (2**31, f"INT64_C({2**31})")])
def test_constants_are_as_wide_as_they_need(value: int, text: str) -> None:
    assert packing.c_integer(value) == text


def test_constants_beyond_64_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        packing.c_integer(2**63)


@pytest.mark.parametrize("rate", [*np.linspace(0.01, 1, 34).tolist(), 0.25, 0.5])
def test_a_formula_gives_the_chances_of_a_rate(rate: float) -> None:
    codes = linear_chances(rate)
    text = chances.expression(codes)
    numbers = re.findall(r"\(\(\(value\) \* (\d+)u \+ (\d+)u\) >> (\d+)\)", text)
    assert chances.table(codes) is None
    factor, half, shift = map(int, numbers[0])
    for value in range(1, 256):
        assert value * factor + half < 2**32
        assert min(value * factor + half >> shift, 65535 if "?" in text else 2**32) == codes.array[value]


def test_chances_of_no_formula_become_a_table() -> None:
    codes = Codes(np.random.default_rng(0).integers(0, 2**16, 256), QFormat(0, 16, signed=False))
    table = chances.table(codes)
    assert table is not None
    assert table.bytes == 512
    assert table.bits == 0
    assert "snn_chances" in chances.expression(codes)
    np.testing.assert_array_equal(table.words.astype("<u4").view("<u2"), codes.array)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20))
def test_a_hash_is_a_polynomial(values: list[int]) -> None:
    expected = Fraction(0)
    for value in values:
        expected = expected * HASH_FACTOR + value
    assert hash_of(np.array(values, np.int32)) == expected % 2**32
