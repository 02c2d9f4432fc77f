"""Stochastic rounding: floor(x + u * step) for the draws u, computed exactly; unbiased; still on the grid."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from apytypes import APyFixedArray, OverflowMode, QuantizationMode
from torch import Tensor

from qspinn_optuna.fixed_point import QFormat, Rounding, quantize

FORMATS = ["Q3.4", "Q0.0", "Q-2.9", "Q10.-3", "Q23.0", "Q8.15", "Q123.-100", "UQ0.8", "UQ12.-4", "UQ24.0"]
DTYPES = [torch.float32, torch.float64]
LARGE = 300_001
"""Elements; above the size at which tensors are rounded part by part."""


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stochastic(x: Tensor, fmt: QFormat, seed: int = 0) -> Tensor:
    return quantize(x, fmt, Rounding.STOCHASTIC, seeded(seed))


def draws_for(x: Tensor, seed: int = 0) -> Tensor:
    return torch.rand(x.shape, dtype=x.dtype, generator=seeded(seed))


def exactly(x: Tensor, draws: Tensor, fmt: QFormat) -> list[float]:
    """floor(x + u * step), saturated, in fractions."""
    step = Fraction(2) ** -fmt.fraction_bits
    codes = (math.floor(Fraction(a) / step + Fraction(u)) for a, u in zip(x.tolist(), draws.tolist(), strict=True))
    return [float(min(max(code, fmt.min_code), fmt.max_code) * step) for code in codes]


def values_around(fmt: QFormat, dtype: torch.dtype) -> Tensor:
    """Two thousand values: over the range and beyond it, near zero, of every magnitude of float32, and on the grid."""
    rng = np.random.default_rng(0)
    span = fmt.max - fmt.min + fmt.resolution
    uniform = rng.uniform(fmt.min - span / 8, fmt.max + span / 8, 800)
    near_zero = rng.uniform(-2 * fmt.resolution, 2 * fmt.resolution, 700)
    magnitudes = rng.choice([-1.0, 1.0], 300) * 2.0 ** rng.uniform(-149, 127, 300)
    grid = rng.integers(fmt.min_code - 2, fmt.max_code + 3, 200) * fmt.resolution
    tiny = [-1e-10, 1e-10, -1e-30, -1e-45, 1e-45, -0.0, 1e38, -1e38]
    return torch.tensor(np.concatenate([uniform, near_zero, magnitudes, grid, tiny]), dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FORMATS)
def test_the_result_is_the_floor_of_the_value_plus_the_draw(name: str, dtype: torch.dtype) -> None:
    fmt = QFormat.parse(name)
    x = values_around(fmt, dtype)
    assert stochastic(x, fmt).tolist() == exactly(x, draws_for(x), fmt)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("direction", [-math.inf, 0.0, math.inf], ids=["beside, below", "at", "beside, above"])
def test_it_is_exact_where_the_draw_just_reaches_a_grid_point(name: str, dtype: torch.dtype, direction: float) -> None:
    fmt = QFormat.parse(name)
    draws = draws_for(torch.empty(1_000, dtype=dtype))
    reaching = torch.where(torch.arange(1_000) % 2 == 0, 1 - draws, -draws) * fmt.resolution
    x = reaching if direction == 0 else torch.nextafter(reaching, torch.tensor(direction, dtype=dtype))
    assert stochastic(x, fmt).tolist() == exactly(x, draws, fmt)


@pytest.mark.parametrize("x", [-1e-10, -1e-30, -1e-45])
def test_a_tiny_negative_value_goes_down_only_by_a_draw_smaller_than_it(x: float) -> None:
    values = torch.full((10_000,), x)
    assert int((stochastic(values, QFormat(3, 4)) != 0).sum()) == int((draws_for(values) == 0).sum())


def test_large_tensors_get_their_draws_in_order() -> None:
    x = torch.randn(LARGE, generator=seeded(1)) * 3
    sums = APyFixedArray.from_float(x.double().numpy(), int_bits=10, frac_bits=100) + APyFixedArray.from_float(
        draws_for(x).double().numpy() / 16, int_bits=10, frac_bits=100
    )
    expected = sums.cast(int_bits=3, frac_bits=4, quantization=QuantizationMode.TRN, overflow=OverflowMode.SAT)
    np.testing.assert_array_equal(stochastic(x, QFormat(2, 4)).numpy(), expected.to_numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("steps", [0.1, 0.25, 0.5, 0.9, 0.999, 3.3, -0.1, -0.75, -4.6])
def test_the_mean_is_kept(steps: float, dtype: torch.dtype) -> None:
    fmt, count = QFormat(3, 4), 200_000
    result = stochastic(torch.full((count,), steps * fmt.resolution, dtype=dtype), fmt).double() / fmt.resolution
    assert set(np.unique(result.numpy()).tolist()) == {float(math.floor(steps)), float(math.ceil(steps))}
    fraction = steps - math.floor(steps)
    standard_error = math.sqrt(fraction * (1 - fraction) / count)
    assert abs(result.mean().item() - steps) < 5 * standard_error


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*FORMATS, "Q-77.100", "UQ-76.100", "UQ0.24"])
def test_grid_values_are_never_moved(name: str, dtype: torch.dtype) -> None:
    fmt = QFormat.parse(name)
    codes = np.arange(fmt.min_code, fmt.max_code + 1, 1 + 2**fmt.bits // 50_000)
    ends = [code + k for code in (fmt.min_code, fmt.max_code, 0, 2**22, 2**23) for k in range(-500, 501)]
    inside = [code for code in ends if fmt.min_code <= code <= fmt.max_code]
    grid = torch.tensor(np.concatenate([codes, inside]) * fmt.resolution, dtype=dtype)
    for seed in range(3):
        assert torch.equal(stochastic(grid, fmt, seed), grid)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1000,), (LARGE,), (500, 700)])
def test_the_same_seed_gives_the_same_result(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = torch.full(shape, 0.4, dtype=dtype)
    assert torch.equal(stochastic(x, QFormat(3, 0)), stochastic(x, QFormat(3, 0)))


@pytest.mark.parametrize("count", [1000, LARGE])
def test_another_seed_and_another_call_give_another_result(count: int) -> None:
    x, fmt, generator = torch.full((count,), 0.4), QFormat(3, 0), seeded(0)
    first = quantize(x, fmt, Rounding.STOCHASTIC, generator)
    assert not torch.equal(first, stochastic(x, fmt, seed=1))
    assert not torch.equal(first, quantize(x, fmt, Rounding.STOCHASTIC, generator))


@pytest.mark.parametrize("shape", [(30, 40), (600, 700)])
def test_a_transposed_tensor_is_rounded_like_its_contiguous_copy(shape: tuple[int, int]) -> None:
    x = torch.randn(shape, generator=seeded(1)).T
    assert not x.is_contiguous()
    assert torch.equal(stochastic(x, QFormat(3, 2)), stochastic(x.contiguous(), QFormat(3, 2)))


def test_without_a_generator_torch_gives_the_draws() -> None:
    x = torch.randn(1000, generator=seeded(1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        result = quantize(x, QFormat(3, 2), Rounding.STOCHASTIC)
    assert torch.equal(result, stochastic(x, QFormat(3, 2), seed=7))


def test_the_input_is_left_alone() -> None:
    for x in (torch.linspace(-3, 3, 101), torch.linspace(-3, 3, LARGE), torch.linspace(-3, 3, 101).double()):
        before = x.clone()
        stochastic(x, QFormat(1, 0))
        assert torch.equal(x, before)
