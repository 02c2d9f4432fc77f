"""All implementations of the three roundings against rational numbers: one definition, in five forms."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding, encode, quantize
from qspinn_optuna.fixed_point.draws import draw
from qspinn_optuna.fixed_point.integer_rounding import MAX_DROP, ROUNDING_NUMBERS, CodeRounding, round_code, round_codes
from qspinn_optuna.fixed_point.simulated_rounding import grid_of, round_positions, round_to_grid, round_values

NO_BITS = np.zeros(1, np.uint64)


def exact(accumulator: int, drop: int, fmt: QFormat, rounding: Rounding, uniform: Fraction) -> int:
    """The definition: floor(p), floor(p + 1/2) or floor(p + r) with r in [0, 1), then saturated."""
    added = {Rounding.TRUNCATION: Fraction(0), Rounding.NEAREST: Fraction(1, 2), Rounding.STOCHASTIC: uniform}[rounding]
    return min(max(math.floor(Fraction(accumulator, 2**drop) + added), fmt.min_code), fmt.max_code)


@st.composite
def cases(draw_from: st.DrawFn) -> tuple[int, int, QFormat, Rounding, int]:
    """An accumulator with some bits to drop, near a code of a format, at a tie, at the ends, or anywhere."""
    bits = draw_from(st.integers(1, 24))
    fraction_bits = draw_from(st.integers(-6, 20))
    signed = draw_from(st.booleans())
    fmt = QFormat(bits - fraction_bits - signed, fraction_bits, signed)
    drop = draw_from(st.sampled_from([0, 1, 2, 7, 20, 31, 32, 33, 36, 50, MAX_DROP]))
    code = draw_from(st.integers(fmt.min_code - 2, fmt.max_code + 2) | st.integers(-2, 2))
    step = 2**drop
    part = draw_from(st.integers(0, step - 1) | st.sampled_from([0, 1, step // 2, max(step // 2 - 1, 0), step - 1]))
    accumulator = min(max((code << drop) + part % step, -(2**MAX_DROP) + 1), 2**MAX_DROP - 1)
    return accumulator, drop, fmt, draw_from(st.sampled_from(Rounding)), draw_from(st.integers(0, 2**32 - 1))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(cases())
@example((-3, 1, QFormat(2, 0), Rounding.NEAREST, 0))
@example((-(2**40), 20, QFormat(3, 0), Rounding.TRUNCATION, 0))
@example((2**40, 20, QFormat(3, 0), Rounding.STOCHASTIC, 2**32 - 1))
def test_every_form_rounds_as_rational_numbers_do(case: tuple[int, int, QFormat, Rounding, int]) -> None:
    accumulator, drop, fmt, rounding, seed = case
    key = np.uint64(seed)
    bits = int(draw(key, 3)) >> 32
    expected = exact(accumulator, drop, fmt, rounding, Fraction(bits, 2**32))

    to = CodeRounding(drop, ROUNDING_NUMBERS[rounding], fmt.min_code, fmt.max_code)
    assert round_code(accumulator, to, bits) == expected
    assert round_code.py_func(accumulator, to, bits) == expected
    array_of_bits = np.array([bits], np.uint64) if rounding is Rounding.STOCHASTIC else NO_BITS
    assert round_codes(np.array([accumulator]), to, array_of_bits).tolist() == [expected]

    significant = accumulator // (accumulator & -accumulator) if accumulator else 0
    position = math.ldexp(accumulator, -drop)
    value = math.ldexp(position, -fmt.fraction_bits)
    if abs(accumulator) < 2**52 and drop <= 52:
        grid = grid_of(ParameterQuantization(fmt, rounding))
        assert round_to_grid(value, grid, key, 3) == expected * fmt.resolution
    for dtype, digits in ((torch.float32, 24), (torch.float64, 53)):
        if abs(significant) < 2**digits:
            check_tensors(value, dtype, case)
    if abs(accumulator) < 2**23 and drop <= 22:
        check_positions(position, case)


def check_tensors(value: float, dtype: torch.dtype, case: tuple[int, int, QFormat, Rounding, int]) -> None:
    accumulator, drop, fmt, rounding, seed = case
    generator = torch.Generator()
    uniform = torch.rand(1, dtype=dtype, generator=generator.manual_seed(seed))
    expected = exact(accumulator, drop, fmt, rounding, Fraction(uniform.item()))
    x = torch.tensor([value], dtype=dtype)
    draws = uniform if rounding is Rounding.STOCHASTIC else None
    assert round_values(x, fmt, rounding, draws).tolist() == [expected]
    array_of_draws = None if draws is None else draws.numpy()
    with np.errstate(all="ignore"):
        assert round_values(x.numpy(), fmt, rounding, array_of_draws).tolist() == [expected]
    assert encode(x, fmt, rounding, generator.manual_seed(seed)).tolist() == [expected]
    assert quantize(x, fmt, rounding, generator.manual_seed(seed)).tolist() == [expected * fmt.resolution]


def check_positions(position: float, case: tuple[int, int, QFormat, Rounding, int]) -> None:
    accumulator, drop, fmt, rounding, seed = case
    generator = torch.Generator()
    uniform = Fraction(torch.rand(1, generator=generator.manual_seed(seed)).item())
    codes = round_positions(torch.tensor([position]), rounding, generator.manual_seed(seed))
    codes = codes.clamp(fmt.min_code, fmt.max_code)
    assert codes.tolist() == [exact(accumulator, drop, fmt, rounding, uniform)]


@pytest.mark.parametrize("rounding", Rounding)
def test_codes_on_the_grid_stay_whatever_is_drawn(rounding: Rounding) -> None:
    codes = np.arange(-8, 8)
    for drop in (0, 5, 32, 40):
        to = CodeRounding(drop, ROUNDING_NUMBERS[rounding], -8, 7)
        for bits in (0, 2**31, 2**32 - 1):
            draws = np.full(len(codes), bits, np.uint64)
            assert round_codes(codes << drop, to, draws).tolist() == codes.tolist()
            assert [round_code(int(code) << drop, to, bits) for code in codes] == codes.tolist()
