"""Widths that cannot be simulated exactly are left out before a study."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn
from torch.nn.utils import parametrize

from qspinn_optuna.config import InexactError, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.networks import calibrate, check_exact, freeze_network, quantize_network
from qspinn_optuna.networks.calibration.limits import Limit, told
from qspinn_optuna.networks.entry.contributions import contributions
from qspinn_optuna.parameters import ParameterSpec
from qspinn_optuna.space import QuantizationSpace
from tests.networks.builders import eighths


class MembraneShortcut(nn.Module):
    """Adds what two synapses put out, one of them large, before the neuron."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.stem, self.inner = nn.Linear(6, 8), nn.Linear(8, 8)
        self.first, self.second = neuron.LIFNode(v_threshold=0.5), neuron.LIFNode(v_threshold=0.5)
        self.head = nn.Linear(8, 3)
        nn.init.uniform_(self.stem.weight, -400, 400)

    def forward(self, x: Tensor) -> Any:
        current = self.stem(x)
        return self.head(self.second(current + self.inner(self.first(current))))


def limits(specs: tuple[ParameterSpec, ...]) -> dict[str, int]:
    return {spec.name: spec.max_bits for spec in specs}


INPUTS = torch.randn((12, 6), generator=torch.Generator().manual_seed(2))


def test_a_fine_bias_beside_large_weights_gets_fewer_bits() -> None:
    rounding = Rounding.TRUNCATION
    specs = calibrate(MembraneShortcut(), [INPUTS])
    config = QuantizationSpace(specs, (2, 24)).uniform(24, Scheme.PTQ, rounding)
    assert config.bits == limits(specs)
    check_exact(freeze_network(quantize_network(MembraneShortcut(), config)), INPUTS)
    assert config.bits["stem.bias"] < config.bits["inner.bias"] == 16
    wider = ParameterQuantization(QFormat.covering(-0.4, 0.4, 16), rounding)
    too_fine = replace(config, parameters={**config.parameters, "stem.bias": wider})
    with pytest.raises(InexactError, match="stem differs"):
        check_exact(freeze_network(quantize_network(MembraneShortcut(), too_fine)), INPUTS)


def test_contributions_end_at_neurons() -> None:
    found = contributions(MembraneShortcut(), INPUTS)
    assert found == {
        "stem": {"input"},
        "first": {"stem", "input"},
        "inner": frozenset(),
        "second": {"stem", "inner", "input"},
        "head": frozenset(),
        "the output": {"head"},
    }


class Repeats(nn.Module):
    """A loop over time with an average of 3 that goes into a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.neuron, self.head = nn.Linear(6, 9), neuron.IFNode(), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Any:
        steps = [self.head(self.neuron(self.hidden(x)).unflatten(1, (3, 3)).mean(2)) for _ in range(3)]
        return torch.stack(steps).mean(0)


def test_contributions_of_loops_are_those_of_a_step() -> None:
    found = contributions(Repeats(), INPUTS)
    assert found["head"] == {"reciprocal.3"}
    assert found["neuron"] == {"hidden", "input"}
    assert found["the output"] == {"head", "reciprocal.3"}


def test_networks_without_gradients_have_no_known_contributions() -> None:
    class InPlace(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.from_numpy(x.numpy())

    assert contributions(InPlace(), INPUTS) == {}


def test_what_no_width_carries_is_refused_by_its_place_with_a_remedy() -> None:
    class Normalized(MembraneShortcut):
        def forward(self, x: Tensor) -> Any:
            return super().forward(self.inner(self.first(self.stem(x)).cumsum(-1).add(1).pow(-0.5))[:, :6])

    with pytest.raises(ValueError, match=r"^inner cannot be simulated exactly, .*softmax, random numbers"):
        calibrate(Normalized(), [eighths(12, 6)])


def test_networks_that_draw_spikes_see_the_same_ones_in_both_precisions() -> None:
    class Drawing(MembraneShortcut):
        def forward(self, x: Tensor) -> Any:
            return super().forward((x > torch.rand(x.shape, dtype=x.dtype)).to(x))

    assert limits(calibrate(Drawing(), [eighths(12, 6)]))["head.weight"] > 8


def test_noise_that_is_on_no_grid_is_refused_before_the_study() -> None:
    class Noisy(MembraneShortcut):
        def forward(self, x: Tensor) -> Any:
            return super().forward(self.inner(self.first(self.stem(x)) + torch.rand((len(x), 8), dtype=x.dtype))[:, :6])

    with pytest.raises(ValueError, match="cannot be simulated exactly"):
        calibrate(Noisy(), [eighths(12, 6)])


def test_sums_of_currents_and_spikes_that_come_back_are_exact() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        layer.Linear(6, 8),
        layer.LinearRecurrentContainer(neuron.LIFNode(v_threshold=0.1), in_features=8, out_features=8, bias=False),
    )
    functional.set_step_mode(network, "m")
    inputs = eighths(3, 4, 6)
    with pytest.warns(UserWarning, match=r"^1.rc.weight is limited from 16 to 7 bits: .* the sums of 1.rc exactly"):
        specs = calibrate(network, [inputs])
    config = QuantizationSpace(specs, (2, 16)).uniform(16, Scheme.PTQ, Rounding.NEAREST)
    check_exact(freeze_network(quantize_network(network, config)), inputs)
    assert "1.y" not in config.parameters
    assert limits(specs)["1.rc.weight"] == 7


def test_widths_of_networks_that_are_exact_stay_as_they_were() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        layer.Linear(6, 8), neuron.LIFNode(v_threshold=0.5), layer.Linear(8, 4), neuron.IFNode(v_threshold=0.5)
    )
    functional.set_step_mode(network, "m")
    found = limits(calibrate(network, [eighths(3, 4, 6)]))
    # 24 bits less those of 6 sums of 12 eighths; a membrane leaves room for its decay.
    assert found == {
        "0.weight": 16,
        "0.bias": 16,
        "1.v": 12,
        "1.threshold": 16,
        "1.decay": 8,
        "2.weight": 16,
        "2.bias": 16,
        "3.v": 16,
        "3.threshold": 16,
    }


class Standardizing(nn.Linear):
    """Standardizes its weights whenever it runs."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, standardized(self.weight), self.bias)


class Described(nn.Linear):
    """Computes as its base does."""

    def extra_repr(self) -> str:
        return "described"


def standardized(weight: Tensor) -> Tensor:
    return (weight - weight.mean(1, keepdim=True)) / weight.std(1, keepdim=True)


class Standardized(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return standardized(weight)


def test_layers_that_standardize_their_weights_are_told_what_helps() -> None:
    network: Any = nn.Sequential(Standardizing(6, 8), neuron.LIFNode(), nn.Linear(8, 2))
    with pytest.raises(ValueError, match=r"^0 cannot .* Standardizing computes by a method .*parametrize") as caught:
        calibrate(network, [eighths(12, 6)])
    assert "softmax" not in str(caught.value)


def test_standardized_weights_are_quantized_as_a_parametrization() -> None:
    first = nn.Linear(6, 8)
    parametrize.register_parametrization(first, "weight", Standardized())
    network = nn.Sequential(first, neuron.LIFNode(), nn.Linear(8, 2))
    specs = calibrate(network, [eighths(12, 6)])
    config = QuantizationSpace(specs).uniform(8, Scheme.PTQ, Rounding.NEAREST)
    check_exact(freeze_network(quantize_network(network, config)), eighths(12, 6))


def test_layers_of_which_only_the_description_is_new_get_no_advice_about_weights() -> None:
    class Normalized(MembraneShortcut):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Described(8, 8)

        def forward(self, x: Tensor) -> Any:
            return super().forward(self.inner(self.first(self.stem(x)).cumsum(-1).add(1).pow(-0.5))[:, :6])

    with pytest.raises(ValueError, match=r"^inner cannot .*softmax"):
        calibrate(Normalized(), [eighths(12, 6)])


@pytest.mark.filterwarnings("default:.* is limited")
def test_limits_by_many_inputs_are_told_by_both_their_widths() -> None:
    network = nn.Sequential(nn.Linear(60_000, 2, bias=False), neuron.IFNode())
    with pytest.warns(UserWarning, match="is limited") as told:
        specs = limits(calibrate(network, [torch.randn((2, 60_000), generator=torch.Generator().manual_seed(1))]))
    assert [str(warning.message).partition(":")[0] for warning in told] == [
        f"input is limited from 8 to {specs['input']} bits",
        f"0.weight is limited from 16 to {specs['0.weight']} bits",
    ]


def test_a_parameter_that_two_reasons_limit_is_told_once() -> None:
    found = [Limit("a", 16, 9, "first"), Limit("b", 16, 12, "first"), Limit("a", 9, 6, "second")]
    (sentence,) = told(found, {"a": 6, "b": 12}, 8)
    assert sentence.startswith("a is limited from 16 to 6 bits")
    assert "second" in sentence
    assert told(found, {"b": 12}, 8) == []
