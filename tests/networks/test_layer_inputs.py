"""Inputs that a network computes with in floating point before its first layers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding, quantize
from qspinn_optuna.networks import RangeMethod, calibrate, check_exact, freeze_network, quantize_network
from qspinn_optuna.parameters import Family
from qspinn_optuna.space import QuantizationSpace

PIXELS = torch.randint(0, 256, (7, 6), generator=torch.Generator().manual_seed(1)) / 255
STEPS = 3


class Prepared(nn.Module):
    """Shows what it makes of a batch at every step."""

    def __init__(self, prepare: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.prepare = prepare
        self.network = nn.Sequential(layer.Linear(6, 8), neuron.LIFNode(v_threshold=0.3), layer.Linear(8, 2))
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.network(self.prepare(x).repeat(STEPS, 1, 1))
        return output


def standardized(x: Tensor) -> Tensor:
    return (x - torch.tensor(0.1307)) / torch.tensor(0.3081)


def of_each_sample(x: Tensor) -> Tensor:
    return (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)


def thirds(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x[:, :3].unsqueeze(1), size=9, mode="linear").squeeze(1)[:, 1:7]


@pytest.mark.parametrize("prepare", [standardized, of_each_sample, torch.sqrt, thirds])
@pytest.mark.parametrize("rounding", Rounding)
def test_what_first_layers_take_is_rounded_there(prepare: Callable[[Tensor], Tensor], rounding: Rounding) -> None:
    network = Prepared(prepare)
    specs = {spec.name: spec for spec in calibrate(network, [PIXELS], RangeMethod.MIN_MAX)}
    spec, values = specs["network.0.input"], prepare(PIXELS)
    assert "input" not in specs
    assert (spec.family, spec.count, spec.low) == (Family.INPUT, 6, min(float(values.min()), 0.0))
    assert spec.high == float(values.max())
    config = QuantizationSpace(tuple(specs.values()), (2, 16)).uniform(16, Scheme.PTQ, rounding)
    check_exact(freeze_network(quantize_network(network, config)), PIXELS)


def test_the_layer_takes_the_values_of_the_grid() -> None:
    network = Prepared(standardized)
    config = QuantizationSpace(calibrate(network, [PIXELS]), 4).uniform(4, Scheme.PTQ, Rounding.NEAREST)
    rounded = quantize(standardized(PIXELS), config["network.0.input"].format, Rounding.NEAREST)
    quantized = quantize_network(network, config)
    expected = quantized(PIXELS)
    same: Any = copy.deepcopy(quantized)
    same.prepare = lambda _: rounded
    for other in (same, pickle.loads(pickle.dumps(freeze_network(quantized)))):
        functional.reset_net(other)
        assert torch.equal(other(PIXELS), expected)


def test_the_last_digits_of_float32_decide_nothing() -> None:
    network = Prepared(lambda x: x * (1 / 3))
    specs = calibrate(network, [PIXELS])
    config = QuantizationSpace(specs, 4).uniform(4, Scheme.PTQ, Rounding.TRUNCATION)
    resolution = config["network.0.input"].format.resolution
    # Multiples of the resolution, up to the last digit.
    check_exact(freeze_network(quantize_network(network, config)), torch.arange(6).repeat(7, 1) * 3 * resolution)


class Between(nn.Module):
    """Computes with what neurons put out."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.between = between
        self.hidden, self.neuron, self.head = nn.Linear(6, 8), neuron.IFNode(v_threshold=0.1), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        spikes = torch.stack([self.neuron(self.hidden(x)) for _ in range(STEPS)])
        output: Tensor = self.head(self.between(spikes))
        return output


@pytest.mark.parametrize(
    ("between", "stored"),
    [
        (lambda s: s * 0.3, 1),
        (lambda s: (s - 0.2) / 0.35, 2),
        (lambda s: s.sum(0) * 0.7, 2),
        (lambda s: s.flatten(0, 1) * 0.3, 1),
    ],
)
def test_scaled_and_shifted_spikes_are_rounded_where_a_layer_takes_them(
    between: Callable[[Tensor], Tensor], stored: int
) -> None:
    """A device stores the numbers that spikes, of which there are up to 2 here, become."""
    network, inputs = Between(between), (PIXELS * 255).round() / 256
    specs = calibrate(network, [inputs])
    assert {spec.name: spec.count for spec in specs if spec.family is Family.INPUT} == {"head.input": stored}
    config = QuantizationSpace(specs, (2, 16)).uniform(16, Scheme.PTQ, Rounding.TRUNCATION)
    check_exact(freeze_network(quantize_network(network, config)), inputs)


def test_what_else_is_computed_of_spikes_is_refused() -> None:
    with pytest.raises(ValueError, match="head takes a softmax of what the network has computed"):
        calibrate(Between(lambda s: s.softmax(-1)), [PIXELS])
