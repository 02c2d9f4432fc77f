"""Formats: their range and names, and `covering` against a search through every format of a width."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from qspinn_optuna.fixed_point import QFormat

MAX_BITS = 24
MAX_FRACTION_BITS = 100


@st.composite
def formats(draw: st.DrawFn) -> QFormat:
    bits = draw(st.integers(1, MAX_BITS))
    fraction_bits = draw(st.integers(-MAX_FRACTION_BITS, MAX_FRACTION_BITS))
    signed = draw(st.booleans())
    return QFormat(bits - int(signed) - fraction_bits, fraction_bits, signed)


@cache
def formats_finest_first(bits: int) -> list[tuple[QFormat, Fraction, Fraction]]:
    """Every format of a width, with its ends: -2**m (0 if unsigned) and 2**m - 2**-n."""
    found = []
    for n in range(MAX_FRACTION_BITS, -MAX_FRACTION_BITS - 1, -1):
        for signed in (False, True):
            m = bits - int(signed) - n
            found.append((QFormat(m, n, signed), -int(signed) * Fraction(2) ** m, Fraction(2) ** m - Fraction(2) ** -n))
    return found


def finest_by_search(low: float, high: float, bits: int) -> QFormat:
    return next(fmt for fmt, bottom, top in formats_finest_first(bits) if bottom <= low and high <= top)


@given(formats())
@settings(deadline=None)
def test_the_codes_are_those_of_an_integer_of_that_many_bits(fmt: QFormat) -> None:
    assert fmt.bits == fmt.integer_bits + fmt.fraction_bits + int(fmt.signed)
    assert fmt.max_code - fmt.min_code + 1 == 2**fmt.bits
    assert fmt.min_code == (-(2 ** (fmt.bits - 1)) if fmt.signed else 0)


@given(formats())
@settings(deadline=None)
def test_the_values_are_the_codes_times_two_to_the_minus_n(fmt: QFormat) -> None:
    step = Fraction(2) ** -fmt.fraction_bits
    assert Fraction(fmt.resolution) == step
    assert Fraction(fmt.min) == fmt.min_code * step
    assert Fraction(fmt.max) == fmt.max_code * step


@pytest.mark.parametrize(
    ("fmt", "name", "bits", "low", "high"),
    [
        (QFormat(1, 6), "Q1.6", 8, -2.0, 1.984375),
        (QFormat(0, 8, signed=False), "UQ0.8", 8, 0.0, 0.99609375),
        (QFormat(-2, 5), "Q-2.5", 4, -0.25, 0.21875),
        (QFormat(6, -3, signed=False), "UQ6.-3", 3, 0.0, 56.0),
        (QFormat(0, 0), "Q0.0", 1, -1.0, 0.0),
        (QFormat(0, 23), "Q0.23", 24, -1.0, 1 - 2.0**-23),
    ],
)
def test_examples_worked_by_hand(fmt: QFormat, name: str, bits: int, low: float, high: float) -> None:
    assert (str(fmt), fmt.bits, fmt.min, fmt.max) == (name, bits, low, high)


@given(formats())
@settings(deadline=None)
def test_parse_reads_what_str_prints(fmt: QFormat) -> None:
    assert QFormat.parse(str(fmt)) == fmt


@pytest.mark.parametrize("text", ["", "Q", "Q1", "Q1.", "Q.6", "q1.6", "SQ1.6", " Q1.6", "Q1.6 ", "Q1.6\n", "Q+1.6"])
def test_parse_refuses_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="name of a format"):
        QFormat.parse(text)


@pytest.mark.parametrize(
    ("integer_bits", "fraction_bits", "signed"),
    [(0, 0, False), (-1, 0, True), (-5, 4, True), (24, 0, True), (0, 24, True), (12, 13, False)],
)
def test_widths_outside_1_to_24_are_refused(integer_bits: int, fraction_bits: int, signed: bool) -> None:
    with pytest.raises(ValueError, match="between 1 and 24"):
        QFormat(integer_bits, fraction_bits, signed)


@pytest.mark.parametrize("fraction_bits", [-101, 101])
def test_resolutions_out_of_float32_are_refused(fraction_bits: int) -> None:
    with pytest.raises(ValueError, match="between -100 and 100"):
        QFormat(8 - fraction_bits, fraction_bits)


@pytest.mark.parametrize(("integer_bits", "fraction_bits"), [(1.0, 6), (1, 6.0), (True, 6), (1, False)])
def test_bits_that_are_no_integers_are_refused(integer_bits: int, fraction_bits: int) -> None:
    with pytest.raises(TypeError, match="must be an int"):
        QFormat(integer_bits, fraction_bits)


def ends() -> st.SearchStrategy[float]:
    """Magnitudes from 2**-70 to 2**70: anywhere, on a grid, at a power of two, and one float beside these."""
    exponents = st.integers(-46, 46)
    on_grid = st.builds(math.ldexp, st.integers(1, 2**24), exponents)
    powers = st.builds(math.ldexp, st.just(1.0), exponents)
    marked = on_grid | powers
    beside = st.builds(math.nextafter, marked, st.sampled_from([0.0, math.inf]))
    magnitudes = st.floats(2.0**-70, 2.0**70) | marked | beside
    return st.just(0.0) | magnitudes | magnitudes.map(lambda magnitude: -magnitude)


@given(ends(), ends(), st.integers(1, MAX_BITS))
@settings(deadline=None, max_examples=200)
@example(-1.0, 1.0, 8)
@example(-1.0, 1 - 2.0**-7, 8)
@example(-1.0, -1.0, 1)
@example(0.0, 1.0, 1)
@example(0.0, 255.0, 8)
@example(0.0, math.nextafter(255.0, 256.0), 8)
def test_covering_finds_what_a_search_through_all_formats_finds(a: float, b: float, bits: int) -> None:
    low, high = min(a, b), max(a, b)
    assume((low, high) != (0, 0) and not (bits == 1 and low < 0 < high))
    fmt = QFormat.covering(low, high, bits)
    assert fmt == finest_by_search(low, high, bits)
    assert fmt.signed == (low < 0)


@pytest.mark.parametrize("bits", [1, 2, 8, MAX_BITS])
@pytest.mark.parametrize("end", [2.0**-76, 1.9 * 2.0**-76, 2.0**76])
def test_covering_works_up_to_the_magnitudes_it_names(end: float, bits: int) -> None:
    for low, high in ((0.0, end), (-end, 0.0), (-end, -end / 2)):
        assert QFormat.covering(low, high, bits) == finest_by_search(low, high, bits)


@pytest.mark.parametrize("end", [5e-324, 1e-40, 1e-30, 2.0**-77, 2.0**77, 1e38, 1e308])
def test_covering_refuses_ranges_too_small_or_too_large_for_float32_arithmetic(end: float) -> None:
    for low, high in ((0.0, end), (-end, 0.0), (-end, end)):
        with pytest.raises(ValueError, match=r"between 2\*\*-76 and 2\*\*76"):
            QFormat.covering(low, high, 8)


@pytest.mark.parametrize("bits", [-1, 0, 25, 32, 8.0, True])
def test_covering_refuses_widths_outside_1_to_24(bits: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 24"):
        QFormat.covering(-1.0, 1.0, bits)


@pytest.mark.parametrize(("low", "high"), [(math.nan, 1.0), (0.0, math.nan), (-math.inf, 0.0), (0.0, math.inf)])
def test_covering_refuses_ranges_that_are_not_finite(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        QFormat.covering(low, high, 8)


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.5), (0.0, -1.0)])
def test_covering_refuses_swapped_ends(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="swap"):
        QFormat.covering(low, high, 8)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (-0.0, 0.0)])
def test_covering_refuses_a_range_of_nothing_but_zero(low: float, high: float) -> None:
    with pytest.raises(ValueError, match=r"\(0, 0\)"):
        QFormat.covering(low, high, 8)


def test_no_signed_format_of_one_bit_holds_a_positive_value() -> None:
    with pytest.raises(ValueError, match="at least 2 bits"):
        QFormat.covering(-1.0, 1e-9, 1)
