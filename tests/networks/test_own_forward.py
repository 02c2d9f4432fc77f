"""Neurons of the users' whose classes override methods of SpikingJelly's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from spikingjelly.activation_based import base, functional, layer, neuron, surrogate
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.networks import calibrate, find_parameters, freeze_network, quantize_network
from qspinn_optuna.networks.discovery.reads import check_reads
from qspinn_optuna.networks.modules.neurons import has_fixed_point_step
from tests.networks.builders import config_of, eighths, run_single


class OwnForward(neuron.LIFNode):  # type: ignore[misc]
    """Decays by a factor of its own, and never calls SpikingJelly's step."""

    def forward(self, x: Tensor) -> Tensor:
        self.v = 0.3 * self.v + x  # type: ignore[has-type]
        spike: Tensor = self.surrogate_function(self.v - self.v_threshold)
        self.v = self.v * (1 - spike)
        return spike


class Scaled(neuron.LIFNode):  # type: ignore[misc]
    """Calls SpikingJelly's step with another input."""

    def forward(self, x: Tensor) -> Any:
        return super().forward(2 * x)


class Loop(neuron.LIFNode):  # type: ignore[misc]
    def forward(self, x_seq: Tensor) -> Tensor:
        self.v = torch.zeros_like(x_seq[0])
        for x in x_seq:
            self.v = 0.3 * self.v + x
        return self.v.unsqueeze(0)


class Local(neuron.LIFNode):  # type: ignore[misc]
    """Keeps its potential where nobody finds it."""

    def forward(self, x_seq: Tensor) -> Tensor:
        v = x_seq.cumsum(0)
        spikes: Tensor = self.surrogate_function(v - self.v_threshold)
        return spikes


class OwnReset(neuron.SimpleLIFNode):  # type: ignore[misc]
    def neuronal_reset(self, spike: Tensor) -> None:
        self.v = self.v - 0.5 * spike  # type: ignore[has-type]


class OwnHardReset(neuron.SimpleIFNode):  # type: ignore[misc]
    no_reset = True

    def neuronal_fire(self) -> Tensor:
        spike: Tensor = self.surrogate_function(self.v - 2 * self.v_threshold)
        return spike


class OnlyForward(base.MemoryModule):  # type: ignore[misc]
    """A state of a module without a step method."""

    def __init__(self) -> None:
        super().__init__()
        self.register_memory("trace", 0.0)
        self.step_mode = "s"

    def forward(self, x: Tensor) -> Any:
        self.trace = 0.3 * self.trace + x  # type: ignore[has-type]
        return self.trace


def test_states_of_an_own_forward_are_rounded_after_every_step() -> None:
    """Recomputed with torch: 0.3 v + x, rounded to sixteenths."""
    network = nn.Sequential(OwnForward())
    x_seq = eighths(5, 3, 4, high=6)
    spikes, steps = run_single(quantize_network(network, config_of(network)), x_seq)
    v = torch.zeros(3, 4)
    for x, spike, states in zip(x_seq, spikes, steps, strict=True):
        v = 0.3 * v + x
        assert torch.equal(spike, (v >= 1).float())
        v = torch.floor(v.masked_fill(v >= 1, 0.0) * 16 + 0.5) / 16
        assert torch.equal(states["0.v"], v)


def test_an_own_forward_may_call_the_step() -> None:
    network, reference = nn.Sequential(Scaled()), nn.Sequential(neuron.LIFNode())
    x_seq = eighths(5, 3, 4)
    ours, _ = run_single(quantize_network(network, config_of(network)), x_seq)
    own_float_steps = surrogate.Rect()
    reference[0].surrogate_function = own_float_steps
    theirs, _ = run_single(quantize_network(reference, config_of(reference)), 2 * x_seq)
    assert float((ours - theirs).abs().mean()) < 0.1


def test_an_output_that_is_a_state_of_an_own_forward_is_rounded() -> None:
    network = nn.Sequential(OnlyForward())
    assert "0.trace" in {parameter.name for parameter in find_parameters(network)}
    output, steps = run_single(quantize_network(network, config_of(network)), eighths(5, 3, 4))
    assert torch.equal(output, torch.stack([states["0.trace"] for states in steps]))
    assert torch.equal(output * 8, (output * 8).round())


@pytest.mark.parametrize("kind", [Loop, Local])
def test_loops_over_time_in_an_own_forward_are_refused_by_name(kind: Any) -> None:
    network = nn.Sequential(layer.Linear(4, 4), kind())
    functional.set_step_mode(network, "m")
    with pytest.raises(ValueError, match=kind.__name__):
        calibrate(network, [eighths(5, 3, 4)])


@pytest.mark.parametrize("node", [OwnReset(2.0, True), OwnHardReset(), OwnForward(), Scaled()])
def test_overridden_methods_keep_the_neurons_own_step(node: nn.Module) -> None:
    assert not has_fixed_point_step(node)


def test_coefficients_that_no_step_reads_are_not_searched() -> None:
    network = nn.Sequential(layer.Linear(4, 4), OwnForward(), neuron.LIFNode())
    sample = eighths(3, 4)
    names = {spec.name for spec in calibrate(network, [sample])}
    assert names == {"0.weight", "0.bias", "1.v", "1.threshold", "2.v", "2.threshold", "2.decay"}
    assert {parameter.name for parameter in find_parameters(network, sample)} == names
    config = config_of(network)
    parameters = {name: config[name] for name in names}
    quantized = quantize_network(network, QuantizationConfig(config.scheme, parameters))
    check_reads(quantized, names, sample)
    check_reads(freeze_network(quantized), names, sample)
    with pytest.raises(ValueError, match=r"\['1\.decay'\]"):
        check_reads(quantize_network(network, config), list(config.parameters), sample)


class Unused(nn.Module):
    """An own parameter, a shared weight that is read elsewhere, and a head that is not reached."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(4))
        self.encode, self.decode = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.decode.weight = self.encode.weight
        self.node, self.head = neuron.ParametricLIFNode(), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        spikes: Tensor = self.node(self.decode(x))
        return spikes


def test_parameters_that_nothing_reads_are_named() -> None:
    network = Unused()
    config = config_of(network)
    quantized = quantize_network(network, config)
    before = type(quantized.encode)
    with pytest.raises(ValueError, match=r"\['gain', 'head\.bias', 'head\.weight'\]"):
        check_reads(quantized, list(config.parameters), eighths(3, 4))
    assert type(quantized.encode) is before
    functional.reset_net(quantized)


NODES = [
    neuron.LIFNode(),
    neuron.ParametricLIFNode(),
    neuron.SimpleLIFNode(2.0, True),
    neuron.TernaryLIFNode(),
    neuron.CUBALIFNode(),
    neuron.KLIFNode(),
    neuron.IzhikevichNode(a=0.5, b=0.3),
    layer.SynapseFilter(4.0),
    layer.SynapseFilter(4.0, learnable=True),
]


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
def test_every_parameter_of_spikingjellys_neurons_is_read(node: nn.Module, step_mode: str) -> None:
    network = nn.Sequential(layer.Linear(4, 4), node)
    functional.set_step_mode(network, step_mode)
    config = config_of(network)
    sample = eighths(3, 4) if step_mode == "s" else eighths(5, 3, 4)
    check_reads(quantize_network(network, config), list(config.parameters), sample)
    assert len(find_parameters(network, sample)) == len(config.parameters)
