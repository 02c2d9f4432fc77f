"""Integer codes and back, and what `quantize`, `encode` and `decode` accept and refuse."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qspinn_optuna.fixed_point import QFormat, Rounding, decode, encode, quantize

DTYPES = [torch.float32, torch.float64]
BOTH_WAYS = [quantize, encode]
every_rounding = pytest.mark.parametrize("rounding", list(Rounding))
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
FMT = QFormat(1, 6)


@st.composite
def formats(draw: st.DrawFn) -> QFormat:
    bits, signed = draw(st.integers(1, 24)), draw(st.booleans())
    fraction_bits = draw(st.integers(-30, 30))
    return QFormat(bits - int(signed) - fraction_bits, fraction_bits, signed)


@given(
    values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False) | st.floats(-8, 8, width=32)),
    fmt=formats(),
    rounding=st.sampled_from(Rounding),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=200)
def test_decoding_the_codes_gives_the_quantized_values(
    values: list[float], fmt: QFormat, rounding: Rounding, dtype: torch.dtype, seed: int
) -> None:
    x = torch.tensor(values, dtype=dtype)
    codes = encode(x, fmt, rounding, torch.Generator().manual_seed(seed))
    quantized = quantize(x, fmt, rounding, torch.Generator().manual_seed(seed))
    assert (codes.dtype, quantized.dtype) == (torch.int32, dtype)
    assert all(fmt.min_code <= code <= fmt.max_code for code in codes.tolist())
    assert decode(codes, fmt, dtype).dtype == dtype
    assert torch.equal(decode(codes, fmt, dtype), quantized)


@every_rounding
@every_dtype
@pytest.mark.parametrize("name", ["Q0.0", "Q1.6", "Q-3.8", "Q10.-3", "UQ0.8", "UQ-7.8", "Q4.11", "UQ16.0"])
def test_every_code_survives_the_way_back_and_forth(name: str, dtype: torch.dtype, rounding: Rounding) -> None:
    fmt = QFormat.parse(name)
    codes = torch.arange(fmt.min_code, fmt.max_code + 1, dtype=torch.int32)
    values = decode(codes, fmt, dtype)
    assert values.tolist() == [math.ldexp(code, -fmt.fraction_bits) for code in codes.tolist()]
    assert torch.equal(encode(values, fmt, rounding), codes)


@every_dtype
@pytest.mark.parametrize("name", ["Q0.23", "Q23.0", "Q-77.100", "Q123.-100", "UQ0.24", "UQ24.0"])
def test_the_end_codes_of_the_widest_formats_survive_too(name: str, dtype: torch.dtype) -> None:
    fmt = QFormat.parse(name)
    codes = torch.tensor([fmt.min_code, fmt.min_code + 1, fmt.max_code - 1, fmt.max_code], dtype=torch.int32)
    values = decode(codes, fmt, dtype)
    assert values.tolist() == [math.ldexp(code, -fmt.fraction_bits) for code in codes.tolist()]
    assert torch.equal(encode(values, fmt), codes)


def test_encode_rounds_to_nearest_unless_told_otherwise() -> None:
    assert encode(torch.tensor([0.5, 1.75, -1.5]), QFormat(3, 0)).tolist() == [1, 2, -1]


@pytest.mark.parametrize("integers", [torch.int8, torch.int16, torch.int32, torch.int64])
def test_codes_may_be_of_any_signed_integer_type(integers: torch.dtype) -> None:
    assert decode(torch.tensor([0, 32, 127]).to(integers), FMT).tolist() == [0.0, 0.5, 1.984375]


@pytest.mark.parametrize("integers", [torch.uint8, torch.uint16, torch.uint32, torch.uint64])
def test_codes_may_be_of_any_unsigned_integer_type(integers: torch.dtype) -> None:
    assert decode(torch.tensor([0, 32, 127]).to(integers), FMT).tolist() == [0.0, 0.5, 1.984375]


@pytest.mark.parametrize("codes", [[128], [-129], [0, 128], [2**31 - 1], [-(2**31)]])
def test_codes_outside_the_format_are_refused(codes: list[int]) -> None:
    with pytest.raises(ValueError, match="between -128 and 127"):
        decode(torch.tensor(codes), FMT)


@pytest.mark.parametrize("codes", [torch.tensor([1.0]), torch.tensor([True]), torch.tensor([1j])])
def test_codes_that_are_no_integers_are_refused(codes: Tensor) -> None:
    with pytest.raises(TypeError, match="integer tensor"):
        decode(codes, FMT)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int32])
def test_decoding_to_anything_but_float32_and_float64_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match="float32 or float64"):
        decode(torch.tensor([1]), FMT, dtype)


@every_rounding
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int32, torch.complex64])
def test_values_that_are_neither_float32_nor_float64_are_refused(dtype: torch.dtype, rounding: Rounding) -> None:
    for function in BOTH_WAYS:
        with pytest.raises(TypeError, match="float32 or float64"):
            function(torch.ones(2, dtype=dtype), FMT, rounding)


@every_rounding
@every_dtype
def test_nan_and_infinities_are_refused_and_counted(dtype: torch.dtype, rounding: Rounding) -> None:
    bad = [math.nan, math.inf, -math.inf]
    for chosen in ([bad[0]], [bad[1]], [bad[2]], bad):
        x = torch.tensor([1.0, *chosen, 2.0], dtype=dtype)
        for function in BOTH_WAYS:
            with pytest.raises(ValueError, match=f"got {len(chosen)} NaN or infinite of {len(chosen) + 2} values"):
                function(x, FMT, rounding)


def test_one_nan_in_a_large_tensor_is_found() -> None:
    x = torch.zeros(300_001)
    x[200_000] = math.nan
    with pytest.raises(ValueError, match="got 1 NaN or infinite of 300001 values"):
        quantize(x, FMT, Rounding.NEAREST)


def test_a_rounding_may_be_given_by_name_but_not_by_an_unknown_one() -> None:
    x = torch.tensor([0.3])
    for function in BOTH_WAYS:
        for rounding in (Rounding.TRUNCATION, Rounding.NEAREST):
            assert torch.equal(function(x, FMT, rounding.value), function(x, FMT, rounding))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="half-up"):
            function(x, FMT, "half-up")  # type: ignore[arg-type]


@every_rounding
@every_dtype
@pytest.mark.parametrize("shape", [(0,), (3, 0), (), (1,), (2, 3, 4)])
def test_shapes_are_kept_even_of_empty_tensors_and_scalars(
    shape: tuple[int, ...], dtype: torch.dtype, rounding: Rounding
) -> None:
    x = torch.full(shape, 0.5, dtype=dtype)
    codes = encode(x, FMT, rounding)
    assert codes.shape == shape
    assert torch.equal(codes, torch.full(shape, 32, dtype=torch.int32))
    assert torch.equal(quantize(x, FMT, rounding), x)
    assert torch.equal(decode(codes, FMT, dtype), x)
