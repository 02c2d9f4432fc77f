"""Stochastic rounding by key: the kernel, the operations of torch and the integer contract are one."""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qspinn_optuna.fixed_point.draws import draw, layer_key, purpose_of, stream, stream_of_layer
from qspinn_optuna.fixed_point.integer_rounding import MAX_DROP, STOCHASTIC, CodeRounding, round_code
from qspinn_optuna.fixed_point.keyed_rounding import BatchLayout, KeyedDraws

LAYER = 0xFEDCBA9876543210
NUMBERS = np.array([5, 0, 2**64 - 1, 4_000_000_000], np.uint64)


def bits_of(layer: int, sample: int, step: int, element: int) -> int:
    key = stream_of_layer(np.uint64(layer), np.uint64(sample), np.uint64(step))
    return int(draw(np.uint64(key), element)) >> 32


@st.composite
def accumulators(draw_from: st.DrawFn) -> tuple[int, int]:
    """(accumulator, dropped bits): a code and a part of a step, near its ends too, with digits that float64 holds."""
    drop = draw_from(st.sampled_from([0, 1, 2, 8, 23, 31, 32, 33, 40, 52, MAX_DROP]))
    part = draw_from(st.integers(0, 2**drop - 1) | st.sampled_from([0, 1, 2**drop >> 1, 2**drop - 1]))
    code = draw_from(st.integers(-(2**23), 2**23) | st.integers(-2, 2))
    limit = 2**MAX_DROP - 1
    return min(max((code << drop) + part % 2**drop, -limit), limit), drop


def round_by(layer: int, value: float, dtype: torch.dtype, *, by_kernel: bool) -> int:
    codes = KeyedDraws(layer, 3).round(torch.tensor([[value]], dtype=dtype), by_kernel=by_kernel)
    return int(codes.item())


@settings(max_examples=500, deadline=None, derandomize=True)
@given(accumulators(), st.integers(0, 2**64 - 1))
@example((-1, MAX_DROP), 1)
@example((-1, 40), 2)
@example((1, 40), 2)
def test_floating_point_rounds_as_integers_do(case: tuple[int, int], layer: int) -> None:
    accumulator, drop = case
    bits = bits_of(layer, 0, 3, 0)
    expected = round_code(accumulator, CodeRounding(drop, STOCHASTIC, -(2**40), 2**40), bits)
    assert expected == math.floor(Fraction(accumulator, 2**drop) + Fraction(bits, 2**32))
    digits = abs(accumulator) // (accumulator & -accumulator) if accumulator else 0
    for dtype, most in ((torch.float32, 2**24), (torch.float64, 2**53)):
        if digits < most and abs(expected) < most:
            for by_kernel in (True, False):
                assert round_by(layer, math.ldexp(accumulator, -drop), dtype, by_kernel=by_kernel) == expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**64 - 1), st.integers(1, 2**32 - 1))
def test_a_draw_that_just_fills_a_step_rounds_up(layer: int, other: int) -> None:
    """y + u of 1, a digit below, and the same just below zero: ties that no accumulator is likely to meet."""
    bits = bits_of(layer, 0, 3, 0)
    for by_kernel in (True, False):
        for code in (0, 5, -1, -7):
            for missing in (0, 1, other):
                position = code + 1 - (bits + missing) / 2**32
                expected = math.floor(Fraction(position) + Fraction(bits, 2**32))
                assert round_by(layer, position, torch.float64, by_kernel=by_kernel) == expected


@pytest.mark.parametrize("by_kernel", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_elements_draw_by_sample_step_and_index(dtype: torch.dtype, by_kernel: bool) -> None:
    y = torch.full((4, 3, 5), 0.5, dtype=dtype)
    codes = KeyedDraws(LAYER, 6, NUMBERS).round(y.clone(), by_kernel=by_kernel).view(4, 15)
    for row, sample in enumerate(NUMBERS.tolist()):
        expected = [float(bits_of(LAYER, sample, 6, element) >= 2**31) for element in range(15)]
        assert codes[row].tolist() == expected
    assert 20 < int(codes.sum()) < 40


@pytest.mark.parametrize("by_kernel", [True, False])
def test_samples_are_found_wherever_they_are(by_kernel: bool) -> None:
    """[tokens, samples, ...], [samples * tokens, ...] and strided tensors draw as their samples do one by one."""
    y = torch.rand(4, 6, 5, generator=torch.Generator().manual_seed(0))
    draws = KeyedDraws(LAYER, 1, NUMBERS)

    def rounded(values: torch.Tensor) -> torch.Tensor:
        return draws.round(values.clone(), by_kernel=by_kernel)

    alone = [
        KeyedDraws(LAYER, 1, NUMBERS[row : row + 1]).round(y[row : row + 1].clone(), by_kernel=by_kernel)
        for row in range(4)
    ]
    expected = torch.cat(alone)
    assert torch.equal(rounded(y), expected)
    assert torch.equal(rounded(y.reshape(24, 5)).view(4, 6, 5), expected)
    assert torch.equal(rounded(y.transpose(0, 1).contiguous()).transpose(0, 1), expected)
    strided = y.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert not strided.is_contiguous()
    assert torch.equal(rounded(strided), expected)


@pytest.mark.parametrize(
    ("shape", "samples", "layout"),
    [
        ((4, 3, 5), None, (1, 4, 15)),
        ((4, 3, 5), 4, (1, 4, 15)),
        ((4, 4, 5), 4, (1, 4, 20)),
        ((3, 4, 5), 4, (3, 4, 5)),
        ((3, 5, 4), 4, (15, 4, 1)),
        ((12, 5), 4, (1, 4, 15)),
        ((8, 4, 4), 4, (1, 4, 32)),
        ((5, 3), 4, (1, 1, 15)),
        ((), 4, (1, 1, 1)),
        ((0, 3), None, (1, 1, 0)),
    ],
)
def test_layouts(shape: tuple[int, ...], samples: int | None, layout: tuple[int, int, int]) -> None:
    found = BatchLayout.of(shape, samples)
    assert found[0] * found[1] * found[2] == math.prod(shape)
    assert found == layout


def test_draws_of_samples_steps_and_layers_are_uniform_and_independent() -> None:
    y = torch.full((50, 400), 0.25)
    numbers = np.arange(50, dtype=np.uint64)
    arrays = [
        KeyedDraws(layer_key(seed, name), step, numbers).round(y.clone(), by_kernel=True)
        for seed in (0, 1)
        for name in ("a.v", "b.v")
        for step in (0, 1)
    ]
    for array in arrays:
        assert abs(float(array.mean()) - 0.25) < 4 * math.sqrt(0.25 * 0.75 / y.numel())
    correlations = np.corrcoef(np.stack([array.numpy().ravel() for array in arrays]))
    assert np.abs(correlations - np.eye(len(arrays))).max() < 5 / math.sqrt(y.numel())


def test_nan_stays() -> None:
    for by_kernel in (True, False):
        assert KeyedDraws(LAYER).round(torch.full((1, 2), math.nan), by_kernel=by_kernel).isnan().all()


@pytest.mark.parametrize("seed", [0, 7, -1, 2**64 - 1, 2**70 + 3])
def test_a_layer_is_a_purpose_by_its_name(seed: int) -> None:
    purpose = int.from_bytes(hashlib.sha256(b"lif1.v").digest()[:8], "little")
    assert purpose_of("lif1.v") == purpose
    key = layer_key(seed, "lif1.v")
    assert stream_of_layer(np.uint64(key), 3, 4) == stream(np.uint64(seed % 2**64), np.uint64(purpose), 3, 4)
    assert key != layer_key(seed, "lif2.v")
