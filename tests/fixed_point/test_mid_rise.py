"""Mid-rise grids: every implementation of the three roundings against rational numbers, and two packages."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from apytypes import APyFixedArray, OverflowMode, QuantizationMode
from fxpmath.objects import Fxp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qspinn_optuna.fixed_point import GridKind, ParameterQuantization, QFormat, Rounding, decode, encode, quantize
from qspinn_optuna.fixed_point.integer_rounding import ROUNDING_NUMBERS, CodeRounding, round_code, round_codes
from qspinn_optuna.fixed_point.simulated_rounding import grid_of, round_values

ONE_BIT = QFormat(0, 1, grid=GridKind.MID_RISE)
every_rounding = pytest.mark.parametrize("rounding", list(Rounding))
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def mid_rise(bits: int, fraction_bits: int, signed: bool = True) -> QFormat:
    return QFormat(bits + 1 - fraction_bits - int(signed), fraction_bits, signed, GridKind.MID_RISE)


def values_of(fmt: QFormat) -> list[Fraction]:
    """(2 * k + 1) * 2**-n of all integers k of the width."""
    first = -(2 ** (fmt.bits - 1)) if fmt.signed else 0
    return [(2 * k + 1) * Fraction(2) ** -fmt.fraction_bits for k in range(first, first + 2**fmt.bits)]


def exact(x: Fraction, fmt: QFormat, rounding: Rounding, uniform: Fraction) -> Fraction:
    """The definition: the value below, the nearer one (of two the upper), or that below x plus a part of a step."""
    unit = Fraction(2) ** -fmt.fraction_bits
    added = {Rounding.TRUNCATION: Fraction(0), Rounding.NEAREST: Fraction(1, 2), Rounding.STOCHASTIC: uniform}[rounding]
    k: int = math.floor((x - unit) / (2 * unit) + added)
    first = -(2 ** (fmt.bits - 1)) if fmt.signed else 0
    return Fraction(2 * min(max(k, first), first + 2**fmt.bits - 1) + 1) * unit


@st.composite
def formats(draw: st.DrawFn, most: int = 24) -> QFormat:
    return mid_rise(draw(st.integers(1, most)), draw(st.integers(-20, 30)), draw(st.booleans()))


def test_one_bit_is_plus_and_minus_half_a_step() -> None:
    assert (ONE_BIT.bits, ONE_BIT.min, ONE_BIT.max, ONE_BIT.resolution) == (1, -0.5, 0.5, 1.0)
    x = torch.tensor([-3.0, -0.1, 0.0, 0.1, 3.0])
    assert quantize(x, ONE_BIT, Rounding.NEAREST).tolist() == [-0.5, -0.5, 0.5, 0.5, 0.5]
    assert encode(x, ONE_BIT).tolist() == [-1, -1, 1, 1, 1]


@given(formats(8))
@settings(deadline=None, max_examples=50)
def test_the_values_are_odd_multiples_of_half_a_step_and_symmetric_if_signed(fmt: QFormat) -> None:
    codes = torch.arange(fmt.min_code, fmt.max_code + 1, fmt.stride)
    values = [Fraction(value) for value in decode(codes, fmt, torch.float64).tolist()]
    assert values == values_of(fmt)
    assert (Fraction(fmt.min), Fraction(fmt.max)) == (values[0], values[-1])
    assert not fmt.signed or values == [-value for value in reversed(values)]
    assert len(values) == 2**fmt.bits
    assert len(values) == 1 or values[1] - values[0] == Fraction(fmt.resolution)
    assert QFormat.parse(str(fmt)) == fmt


@given(
    fmt=formats(),
    rounding=st.sampled_from(Rounding),
    seed=st.integers(0, 2**32 - 1),
    place=st.integers(-4, 4) | st.floats(-1.5, 1.5),
    off=st.sampled_from([0.0, 1e-45, -1e-45, 1e-10, -1e-10, 2.0**-22, -(2.0**-22), 0.5, -0.5, 0.49999997]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@example(QFormat(3, 1, grid=GridKind.MID_RISE), Rounding.TRUNCATION, 0, -3, -(2.0**-22), torch.float32)
@settings(deadline=None, max_examples=400, derandomize=True)
def test_tensors_round_as_rational_numbers_do(
    fmt: QFormat, rounding: Rounding, seed: int, place: float, off: float, dtype: torch.dtype
) -> None:
    scaled = place * fmt.unit if isinstance(place, int) else place * fmt.max
    x = torch.tensor([scaled + off * fmt.unit], dtype=dtype)
    generator = torch.Generator()
    draws = torch.rand(1, dtype=dtype, generator=generator.manual_seed(seed))
    expected = exact(Fraction(x.item()), fmt, rounding, Fraction(draws.item()))
    assert Fraction(quantize(x, fmt, rounding, generator.manual_seed(seed)).item()) == expected
    codes = encode(x, fmt, rounding, generator.manual_seed(seed))
    assert codes.tolist() == [expected / Fraction(2) ** -fmt.fraction_bits]
    assert decode(codes, fmt, torch.float64).tolist() == [expected]
    of_array = round_values(x.numpy(), fmt, rounding, draws.numpy() if rounding is Rounding.STOCHASTIC else None)
    of_tensor = round_values(x, fmt, rounding, draws if rounding is Rounding.STOCHASTIC else None)
    assert of_array.tolist() == of_tensor.tolist() == codes.tolist()


@given(
    fmt=formats(),
    rounding=st.sampled_from(Rounding),
    drop=st.sampled_from([0, 1, 2, 9, 20, 30, 31, 32, 40, 61]),
    code=st.integers(-5, 5) | st.integers(-(2**25), 2**25),
    part=st.sampled_from([0, 1, -1, 2**8, 2**19, 2**19 - 1]),
    bits=st.integers(0, 2**32 - 1) | st.sampled_from([0, 2**31, 2**32 - 1]),
)
@settings(deadline=None, max_examples=300, derandomize=True)
def test_accumulators_round_as_rational_numbers_do(
    fmt: QFormat, rounding: Rounding, drop: int, code: int, part: int, bits: int
) -> None:
    accumulator = min(max((code << drop) + part, -(2**61)), 2**61)
    x = Fraction(accumulator, 2**drop) * Fraction(2) ** -fmt.fraction_bits
    expected = exact(x, fmt, rounding, Fraction(bits, 2**32)) / Fraction(2) ** -fmt.fraction_bits
    to = CodeRounding(drop, ROUNDING_NUMBERS[rounding], fmt.min_code, fmt.max_code, 1)
    if rounding is Rounding.STOCHASTIC and drop + 1 < 32:
        # Draws are cut to the bits that are dropped, which changes nothing: the accumulator has no finer ones.
        expected = exact(x, fmt, rounding, Fraction(bits >> 31 - drop, 2 ** (drop + 1))) / Fraction(2) ** (
            -fmt.fraction_bits
        )
    assert round_code(accumulator, to, bits) == expected
    assert round_code.py_func(accumulator, to, bits) == expected
    assert round_codes(np.array([accumulator]), to, np.array([bits], np.uint64)).tolist() == [expected]


SAMPLE = np.concatenate([np.random.default_rng(0).normal(0, 2, 20_000), np.arange(-640, 640) / 64]).astype(np.float32)


@pytest.mark.parametrize("rounding", [Rounding.TRUNCATION, Rounding.NEAREST])
@pytest.mark.parametrize("bits", [1, 2, 3, 8, 14])
def test_apytypes_and_fxpmath_agree(bits: int, rounding: Rounding) -> None:
    """They have mid-tread grids only: that of the values plus half a step, shifted back."""
    fmt = mid_rise(bits, bits)
    shifted = SAMPLE.astype(np.float64) - fmt.unit
    mode = {Rounding.TRUNCATION: QuantizationMode.TRN, Rounding.NEAREST: QuantizationMode.RND}[rounding]
    wide = APyFixedArray.from_float(shifted, int_bits=20, frac_bits=100)
    step_bits = fmt.fraction_bits - 1
    cast = wide.cast(
        int_bits=bits - step_bits, frac_bits=step_bits, quantization=mode, overflow=OverflowMode.SAT
    ).to_numpy()
    name = {Rounding.TRUNCATION: "floor", Rounding.NEAREST: "nearest_posinf"}[rounding]
    fxp = Fxp(shifted, signed=True, n_word=bits, n_frac=step_bits, rounding=name, overflow="saturate")  # type: ignore[no-untyped-call]
    result = quantize(torch.from_numpy(SAMPLE), fmt, rounding).numpy()
    np.testing.assert_array_equal(result, cast + fmt.unit)
    np.testing.assert_array_equal(result, fxp.get_val() + fmt.unit)  # type: ignore[no-untyped-call]


@every_rounding
@every_dtype
@pytest.mark.parametrize("bits", [1, 2, 5, 24])
def test_values_on_the_grid_never_move(bits: int, dtype: torch.dtype, rounding: Rounding) -> None:
    fmt = mid_rise(bits, 3)
    codes = torch.arange(fmt.min_code, fmt.max_code + 1, 2 * (1 + 2**bits // 5_000))
    values = decode(codes, fmt, dtype)
    for seed in range(3):
        assert torch.equal(quantize(values, fmt, rounding, torch.Generator().manual_seed(seed)), values)


@every_dtype
@pytest.mark.parametrize("steps", [0.0, 0.1, -0.4, 0.9, 1.3])
def test_stochastic_rounding_keeps_the_mean(steps: float, dtype: torch.dtype) -> None:
    fmt, count = mid_rise(3, 1), 100_000
    x = torch.full((count,), steps, dtype=dtype)
    result = quantize(x, fmt, Rounding.STOCHASTIC, torch.Generator().manual_seed(0)).double()
    assert abs(result.mean().item() - steps) < 5 * 0.5 / math.sqrt(count)


@every_rounding
def test_the_gradient_is_passed_inside_of_the_range(rounding: Rounding) -> None:
    x = torch.linspace(-1, 1, 101, requires_grad=True)
    quantize(x, ONE_BIT, rounding).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.equal(x.grad, (x.detach().abs() <= 0.5).float())


def test_even_codes_are_refused() -> None:
    with pytest.raises(ValueError, match="must be odd"):
        decode(torch.tensor([0]), ONE_BIT)


@pytest.mark.parametrize("bits", [0, 25])
def test_widths_are_those_of_stored_codes(bits: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 24"):
        mid_rise(bits, 3)


def test_kernels_of_stdp_refuse_them() -> None:
    with pytest.raises(ValueError, match="format must have a 0"):
        grid_of(ParameterQuantization(ONE_BIT, Rounding.NEAREST))
