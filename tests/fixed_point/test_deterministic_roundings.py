"""Truncation and nearest against two fixed-point packages and exact fractions, on more than a million values.

What each oracle can represent:

* apytypes holds any width, so that every value is loaded exactly, then cast. It knows signed formats only: an unsigned
  format is the non-negative half of the signed one with the same m and n.
* fxpmath computes in float64 and 64-bit integers: it is asked for values and codes below 2**60, and for float32 values
  only (half a step more than a float64 value beside a tie is not a float64 number).
* Python's fractions hold everything, slowly: they are asked for the values at and beside the ends of every format, and
  for huge, tiny and subnormal ones.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
from apytypes import APyFixedArray, OverflowMode, QuantizationMode
from fxpmath.objects import Fxp
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import QFormat, Rounding, quantize

Values = NDArray[np.float32] | NDArray[np.float64]

# fmt: off
SIGNED = [
    "Q0.0", "Q1.0", "Q-3.4", "Q5.-4", "Q1.6", "Q3.4", "Q7.0", "Q0.7", "Q-2.9", "Q-10.17", "Q10.-3", "Q4.11", "Q0.15",
    "Q15.0", "Q8.15", "Q23.0", "Q0.23", "Q30.-22", "Q-77.100", "Q123.-100",
]
UNSIGNED = [
    "UQ1.0", "UQ-7.8", "UQ8.-7", "UQ0.8", "UQ8.0", "UQ-4.12", "UQ12.-4", "UQ0.16", "UQ12.12", "UQ24.0", "UQ0.24",
    "UQ-76.100", "UQ124.-100",
]
# fmt: on
FORMATS = SIGNED + UNSIGNED
FXPMATH_FORMATS = [name for name in FORMATS if QFormat.parse(name).max < 2.0**60]
ROUNDINGS = [Rounding.TRUNCATION, Rounding.NEAREST]
APYTYPES_MODES = {Rounding.TRUNCATION: QuantizationMode.TRN, Rounding.NEAREST: QuantizationMode.RND}
FXPMATH_MODES = {Rounding.TRUNCATION: "floor", Rounding.NEAREST: "nearest_posinf"}


def finite(values: NDArray[np.float64], dtype: str) -> Values:
    with np.errstate(over="ignore"):
        rounded: Values = values.astype(dtype)
    return rounded[np.isfinite(rounded)]


def with_both_neighbours(values: Values) -> Values:
    with np.errstate(over="ignore"):
        neighbours = [np.nextafter(values, values.dtype.type(side)) for side in (-np.inf, np.inf)]
    both: Values = np.concatenate([values, *neighbours])
    return both[np.isfinite(both)]


def without_tiniest(values: Values) -> Values:
    """The values without the float64 ones below every float32 number; they have a test of their own."""
    kept: Values = values[(values == 0) | (np.abs(values) >= 2.0**-149)]
    return kept


@cache
def edge_values(name: str, dtype: str) -> Values:
    """A few hundred: grid values and ties around zero and both ends, and the corners of float32, with neighbours."""
    fmt = QFormat.parse(name)
    codes = np.unique([code + k for code in (fmt.min_code, 0, fmt.max_code) for k in range(-3, 4)])
    steps = np.concatenate([codes, codes + 0.5, codes + 0.49999997])
    corners = [0.0, 1e-45, 1e-40, 1.17549435e-38, 1e-10, 0.5, 1.0, 2.0**23, 2.0**24, 1e30, 1e38, 3.4028235e38]
    values = with_both_neighbours(
        finite(np.concatenate([steps * fmt.resolution, corners, np.negative(corners)]), dtype)
    )
    return without_tiniest(values)


@cache
def sample(name: str, dtype: str) -> Values:
    """Over 30,000 values: the edges, grid values and ties with neighbours, uniform, and of every magnitude."""
    fmt = QFormat.parse(name)
    rng = np.random.default_rng(FORMATS.index(name))
    codes = rng.integers(fmt.min_code - 3, fmt.max_code + 4, 4_500)
    marked = finite(np.concatenate([codes, codes + 0.5]) * fmt.resolution, dtype)
    span = fmt.max - fmt.min + fmt.resolution
    uniform = rng.uniform(fmt.min - span / 4, fmt.max + span / 4, 3_000)
    magnitudes = rng.choice([-1.0, 1.0], 2_000) * 2.0 ** rng.uniform(-149, 128, 2_000)
    values: Values = np.concatenate(
        [edge_values(name, dtype), with_both_neighbours(marked), finite(np.concatenate([uniform, magnitudes]), dtype)]
    )
    return without_tiniest(values)


def quantized(values: Values, fmt: QFormat, rounding: Rounding) -> Values:
    result: Values = quantize(torch.from_numpy(values), fmt, rounding).numpy()
    return result


def by_apytypes(values: Values, fmt: QFormat, rounding: Rounding) -> NDArray[np.float64]:
    exact = APyFixedArray.from_float(values.astype(np.float64), int_bits=130, frac_bits=260)
    cast = exact.cast(
        int_bits=fmt.integer_bits + 1,
        frac_bits=fmt.fraction_bits,
        quantization=APYTYPES_MODES[rounding],
        overflow=OverflowMode.SAT,
    )
    result: NDArray[np.float64] = cast.to_numpy()
    return result if fmt.signed else np.maximum(result, 0.0)


def by_fxpmath(values: Values, fmt: QFormat, rounding: Rounding) -> NDArray[np.float64]:
    fxp = Fxp(  # type: ignore[no-untyped-call]
        values.astype(np.float64),
        signed=fmt.signed,
        n_word=fmt.bits,
        n_frac=fmt.fraction_bits,
        rounding=FXPMATH_MODES[rounding],
        overflow="saturate",
    )
    result: NDArray[np.float64] = fxp.get_val()  # type: ignore[no-untyped-call]
    return result


def by_fractions(value: float, fmt: QFormat, rounding: Rounding) -> float:
    steps = Fraction(value) * Fraction(2) ** fmt.fraction_bits
    code = math.floor(steps + Fraction(1, 2)) if rounding is Rounding.NEAREST else math.floor(steps)
    low, high = (-(2 ** (fmt.bits - 1)), 2 ** (fmt.bits - 1) - 1) if fmt.signed else (0, 2**fmt.bits - 1)
    return float(min(max(code, low), high) / Fraction(2) ** fmt.fraction_bits)


def test_more_than_a_million_values_in_more_than_25_formats_are_compared() -> None:
    assert len(set(FORMATS)) > 25
    assert {QFormat.parse(name).bits for name in FORMATS} >= {1, 2, 8, 16, 24}
    assert sum(sample(name, "float32").size for name in FORMATS) > 1_000_000


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMATS)
def test_apytypes_agrees(name: str, dtype: str, rounding: Rounding) -> None:
    fmt, values = QFormat.parse(name), sample(name, dtype)
    np.testing.assert_array_equal(quantized(values, fmt, rounding), by_apytypes(values, fmt, rounding))


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", FXPMATH_FORMATS)
def test_fxpmath_agrees(name: str, rounding: Rounding) -> None:
    fmt, values = QFormat.parse(name), sample(name, "float32")
    values = values[np.abs(values.astype(np.float64)) < 2.0**60 * min(1.0, fmt.resolution)]
    assert values.size > 30_000
    np.testing.assert_array_equal(quantized(values, fmt, rounding), by_fxpmath(values, fmt, rounding))


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMATS)
def test_exact_fractions_agree_at_the_edges(name: str, dtype: str, rounding: Rounding) -> None:
    fmt, values = QFormat.parse(name), edge_values(name, dtype)
    expected = [by_fractions(float(value), fmt, rounding) for value in values]
    np.testing.assert_array_equal(quantized(values, fmt, rounding), expected)


@pytest.mark.parametrize("value", [-5e-324, -1e-300, -1e-310])
@pytest.mark.parametrize("name", ["Q7.0", "Q3.-1", "Q53.-50", "Q103.-100"])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_the_tiniest_float64_numbers_round_exactly_too(value: float, name: str, rounding: Rounding) -> None:
    fmt = QFormat.parse(name)
    assert quantized(np.array([value]), fmt, rounding).item() == by_fractions(value, fmt, rounding)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("shape", [(300_001,), (600, 700)])
def test_large_and_transposed_tensors_agree_with_apytypes(shape: tuple[int, ...], rounding: Rounding) -> None:
    fmt = QFormat(2, 5)
    values = np.random.default_rng(0).normal(0.0, 3.0, shape).astype(np.float32)
    expected = by_apytypes(values, fmt, rounding)
    np.testing.assert_array_equal(quantized(values, fmt, rounding), expected)
    np.testing.assert_array_equal(quantized(values.T, fmt, rounding), expected.T)


def test_ties_go_up_and_just_below_a_tie_goes_down() -> None:
    values = torch.tensor([0.5, -0.5, 1.5, -1.5, 0.49999997, -0.50000006])
    result = quantize(values, QFormat(4, 0), Rounding.NEAREST)
    assert result.tolist() == [1.0, 0.0, 2.0, -1.0, 0.0, -1.0]


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("strided", [False, True])
def test_the_input_is_left_alone(rounding: Rounding, strided: bool) -> None:
    values = torch.linspace(-3, 3, 202)[:: 2 if strided else 1]
    for x in (values, values.double(), torch.cat([values] * 2000)):
        before = x.clone()
        quantize(x, QFormat(1, 0), rounding)
        assert torch.equal(x, before)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_a_generator_is_not_drawn_from(rounding: Rounding) -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    quantize(torch.ones(10), QFormat(1, 6), rounding, generator)
    assert torch.equal(generator.get_state(), before)
