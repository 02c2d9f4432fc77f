"""The gradient of `quantize`: that of clamping to the range of the format."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from qspinn_optuna.fixed_point import QFormat, Rounding, quantize

FORMATS = [QFormat(1, 4), QFormat(-1, 4), QFormat(4, -1), QFormat(0, 0), QFormat(0, 4, signed=False)]
DTYPES = [torch.float32, torch.float64]
every_rounding = pytest.mark.parametrize("rounding", list(Rounding))


def leaf(values: Tensor) -> Tensor:
    return values.detach().clone().requires_grad_()


def gradient(y: Tensor, x: Tensor, incoming: Tensor | None = None) -> Tensor:
    """The gradient at x of y, for an incoming gradient of ones unless given."""
    (result,) = torch.autograd.grad(y, x, torch.ones_like(y) if incoming is None else incoming)
    return result


def values_around(fmt: QFormat, dtype: torch.dtype) -> Tensor:
    """Inside the range, outside it, at its ends and one float beside them."""
    ends = torch.tensor([fmt.min, fmt.max], dtype=dtype)
    infinity = torch.tensor(math.inf, dtype=dtype)
    beside = torch.cat([torch.nextafter(ends, infinity), torch.nextafter(ends, -infinity)])
    return torch.cat([torch.linspace(2 * fmt.min - 3, 2 * fmt.max + 3, 200, dtype=dtype), ends, beside])


@every_rounding
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_it_is_passed_inside_the_range_and_zero_outside(fmt: QFormat, dtype: torch.dtype, rounding: Rounding) -> None:
    x = leaf(values_around(fmt, dtype))
    incoming = torch.linspace(-2, 3, x.numel(), dtype=dtype)
    result = gradient(quantize(x, fmt, rounding), x, incoming)
    inside = torch.tensor([fmt.min <= value <= fmt.max for value in x.tolist()])
    assert result.dtype == dtype
    assert torch.equal(result, torch.where(inside, incoming, 0.0))


@every_rounding
@pytest.mark.parametrize("shape", [(), (0,), (300_001,), (600, 700)])
def test_it_is_that_of_clamp_in_every_shape(shape: tuple[int, ...], rounding: Rounding) -> None:
    fmt = QFormat(0, 4)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for start in (values, values.mT if values.ndim > 1 else values):
        x = leaf(start)
        assert torch.equal(gradient(quantize(x, fmt, rounding), x), gradient(x.clamp(fmt.min, fmt.max), x))


@every_rounding
def test_saturated_values_get_none_of_it(rounding: Rounding) -> None:
    x = leaf(torch.tensor([-100.0, -2.5, 2.5, 1e38]))
    assert gradient(quantize(x, QFormat(1, 4), rounding), x).tolist() == [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("incoming", [math.inf, -math.inf, math.nan])
def test_saturated_values_get_none_of_an_exploding_one_either(incoming: float) -> None:
    x = leaf(torch.tensor([-100.0, 100.0]))
    y = quantize(x, QFormat(1, 4), Rounding.NEAREST)
    assert gradient(y, x, torch.full((2,), incoming)).tolist() == [0.0, 0.0]


@every_rounding
def test_it_does_not_change_the_values(rounding: Rounding) -> None:
    x = torch.linspace(-4, 4, 1001)
    with_gradient = quantize(leaf(x), QFormat(1, 4), rounding, torch.Generator().manual_seed(0))
    assert torch.equal(with_gradient.detach(), quantize(x, QFormat(1, 4), rounding, torch.Generator().manual_seed(0)))


@every_rounding
def test_no_graph_is_built_where_none_is_asked_for(rounding: Rounding) -> None:
    assert not quantize(torch.ones(3), QFormat(1, 4), rounding).requires_grad
    with torch.no_grad():
        assert not quantize(leaf(torch.ones(3)), QFormat(1, 4), rounding).requires_grad
    assert quantize(leaf(torch.ones(3)), QFormat(1, 4), rounding).requires_grad


@every_rounding
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_flows_through_a_small_network(rounding: Rounding, dtype: torch.dtype) -> None:
    fmt = QFormat(0, 4)
    weight = leaf(torch.tensor([[0.3, -0.7, 1.4], [-1.2, 0.1, 0.9]], dtype=dtype))
    inputs = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 4.0]], dtype=dtype)
    gain = leaf(torch.tensor([2.0, -3.0], dtype=dtype))
    stored = quantize(weight, fmt, rounding)
    output = ((inputs @ stored.T) * gain).sum()
    weight_gradient, gain_gradient = torch.autograd.grad(output, [weight, gain])
    inside = torch.tensor([[True, True, False], [False, True, True]])
    assert torch.equal(weight_gradient, torch.where(inside, gain.detach()[:, None] * inputs.sum(0), 0.0))
    assert torch.equal(gain_gradient, (inputs @ stored.detach().T).sum(0))
