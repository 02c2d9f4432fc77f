"""Averages and divisions as sums times stored factors."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.networks import calibrate, check_exact, freeze_network, quantize_network
from qspinn_optuna.networks.entry.reciprocals import FoundReciprocals, StoredReciprocals
from qspinn_optuna.parameters import Family, ParameterSpec
from qspinn_optuna.space import QuantizationSpace
from tests.networks.builders import config_of, eighths

X = eighths(2, 3, 7, 10)


def _divided_in_place(x: Tensor) -> Tensor:
    x /= 5
    return x


CALLS: dict[str, tuple[Callable[[Tensor], Tensor], set[int]]] = {
    "mean over a dimension": (lambda x: x.mean(1), {3}),
    "mean over two": (lambda x: torch.mean(x, dim=(1, 2), keepdim=True), {21}),
    "mean over an axis": (partial(torch.mean, axis=-1), {10}),
    "mean of four": (lambda x: x[..., :4].mean(-1), set()),
    "division": (lambda x: x / 255, {255}),
    "division by a function": (lambda x: torch.div(x, 6.0), {6}),
    "division in place": (lambda x: _divided_in_place(x.clone()), {5}),
    "division by a power of two": (lambda x: x / 8, set()),
    "division by a fraction": (lambda x: x / 0.3, set()),
    "division by a tensor": (lambda x: x / torch.tensor(3.0), set()),
    "pool": (nn.AvgPool2d(3), {9}),
    "pool with a stride": (nn.AvgPool2d((1, 5), stride=2), {5}),
    "padded pool": (nn.AvgPool2d(3, 2, padding=1), {9}),
    "pool without its padding": (nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), {6, 9}),
    "pool beyond the end": (nn.AvgPool2d(3, 3, ceil_mode=True), {3, 9}),
    "pool with a divisor": (nn.AvgPool2d(2, divisor_override=7), {7}),
    "pool of a line": (lambda x: F.avg_pool1d(x[0], 5), {5}),
    "pool of a volume": (lambda x: F.avg_pool3d(x[None], (1, 2, 3)), {6}),
    "adaptive pool": (nn.AdaptiveAvgPool2d(1), {70}),
    "adaptive pool of one dimension": (nn.AdaptiveAvgPool2d((None, 2)), {5}),
    "adaptive pool of windows of all sizes": (nn.AdaptiveAvgPool2d((3, 6)), {6, 9}),
    "adaptive pool of a line": (lambda x: F.adaptive_avg_pool1d(x[0], 4), {3}),
    "adaptive pool of a volume": (lambda x: F.adaptive_avg_pool3d(x[None], (1, 7, 2)), {15}),
}


@pytest.mark.parametrize("name", CALLS)
def test_divisors_are_found_wherever_torch_divides(name: str) -> None:
    call, divisors = CALLS[name]
    expected = call(X)
    with FoundReciprocals() as divisions:
        assert torch.equal(call(X), expected)
    assert {count for count, _ in divisions.found} == divisors


@pytest.mark.parametrize("name", CALLS)
def test_a_stored_factor_scales_what_has_its_divisor(name: str) -> None:
    """With twice the exact factors the quotients double; powers of two, which have no factor, do not."""
    call, divisors = CALLS[name]
    with StoredReciprocals({count: 2 / count for count in divisors}):
        scaled = call(X)
    with StoredReciprocals({count: 1 / count for count in divisors}):
        exact = call(X)
    assert torch.allclose(exact, call(X), rtol=1e-6)
    ratio = scaled / call(X)
    assert scaled.shape == call(X).shape
    doubled, same = (ratio - 2).abs() < 1e-5, (ratio - 1).abs() < 1e-5
    assert bool((doubled | same | ratio.isnan()).all())
    assert bool(doubled.any()) == bool(divisors)


def test_sums_and_factors_are_those_of_integers() -> None:
    """Every window by hand, in fractions."""
    codes, factor = (X[0, 0] * 8).long().numpy(), Fraction(29, 256)
    with StoredReciprocals({9: float(factor)}):
        pooled = F.avg_pool2d(X[:1, :1], 3)[0, 0]
    for row, column in itertools.product(range(2), range(3)):
        window = codes[3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        assert Fraction(float(pooled[row, column])) == Fraction(int(window.sum()), 8) * factor


def pooled_network() -> nn.Sequential:
    torch.manual_seed(1)
    network = nn.Sequential(
        layer.Conv1d(2, 4, 3, padding=1),
        neuron.LIFNode(v_threshold=0.3),
        layer.AvgPool1d(5),
        layer.Flatten(),
        layer.Linear(8, 3),
        neuron.IFNode(v_threshold=0.3),
    )
    functional.set_step_mode(network, "m")
    return network


LINES = eighths(4, 3, 2, 10)


@pytest.fixture(scope="module")
def pooled_specs() -> tuple[ParameterSpec, ...]:
    return calibrate(pooled_network(), [LINES])


def test_the_factor_of_a_pool_is_a_parameter(pooled_specs: tuple[ParameterSpec, ...]) -> None:
    factor = next(spec for spec in pooled_specs if spec.name == "reciprocal.5")
    assert (factor.family, factor.count, factor.high) == (Family.SCALE, 1, 0.2)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("width", [2, 8])
def test_pools_between_layers_are_exact_at_any_width(
    rounding: Rounding, width: int, pooled_specs: tuple[ParameterSpec, ...]
) -> None:
    config = QuantizationSpace(pooled_specs).uniform(width, Scheme.PTQ, rounding)
    network = freeze_network(quantize_network(pooled_network(), config))
    check_exact(network, LINES)
    copies = copy.deepcopy(network), pickle.loads(pickle.dumps(network))
    expected = network(LINES)
    assert all(torch.equal(copied(LINES), expected) for copied in copies)


def test_the_quantized_pool_is_a_sum_times_the_factor() -> None:
    """Against a convolution of ones, which is a sum, scaled by hand."""
    network: Any = pooled_network()
    factor = QFormat(-2, 6, signed=False)
    parameters = {**config_of(network).parameters, "reciprocal.5": ParameterQuantization(factor, Rounding.NEAREST)}
    quantized = quantize_network(network, QuantizationConfig(Scheme.PTQ, parameters))

    class Sum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(*x.shape[:-1], 2, 5).sum(-1) * float(np.round(2**6 / 5) / 2**6)

    network[2] = Sum()
    by_hand = quantize_network(network, config_of(network))
    assert torch.equal(quantized(LINES), by_hand(LINES))
    assert bool(by_hand(LINES).any())


class Readout(nn.Module):
    """Averages of 5 at its end only, over time as over neurons."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.hidden = nn.Linear(6, 10)
        self.neuron = neuron.LIFNode(3.0, v_threshold=0.3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = torch.zeros(())
        for _ in range(5):
            scores = scores + F.avg_pool1d(self.neuron(self.hidden(x)), 5)
        return scores / 5


def test_what_only_scales_the_scores_stays_as_it_is() -> None:
    """The time constant of a LIF neuron is no divisor either: fixed point has its decay."""
    names = {spec.name for spec in calibrate(Readout(), [eighths(4, 6)])}
    assert names == {"hidden.weight", "hidden.bias", "neuron.v", "neuron.threshold", "neuron.decay"}


class Rates(nn.Module):
    """A mean over time steps in the middle of a network, and pixels that are divided in forward."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.hidden = layer.Linear(6, 10, step_mode="m")
        self.neuron = neuron.LIFNode(v_threshold=0.3, step_mode="m")
        self.head = nn.Linear(10, 3)

    def forward(self, pixels: Tensor) -> Any:
        return self.head(self.neuron(self.hidden((pixels / 255).repeat(6, 1, 1))).mean(0))


def test_divisions_in_forward_are_factors_too() -> None:
    pixels = torch.randint(0, 256, (5, 6), generator=torch.Generator().manual_seed(0)).float()
    specs = calibrate(Rates(), [pixels])
    assert [spec.name for spec in specs if spec.family is Family.SCALE] == ["reciprocal.6", "reciprocal.255"]
    for width in (3, 8):
        config = QuantizationSpace(specs).uniform(width, Scheme.PTQ, Rounding.NEAREST)
        check_exact(freeze_network(quantize_network(Rates(), config)), pixels)
    config = QuantizationSpace(specs).uniform(8, Scheme.PTQ, Rounding.NEAREST)
    difference = quantize_network(Rates(), config)(pixels) - Rates()(pixels)
    assert float(difference.detach().abs().mean()) < 0.1
