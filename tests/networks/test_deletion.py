"""The control without states, and states that cannot be counted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.networks import calibrate, find_parameters
from qspinn_optuna.networks.deletion import delete_states
from qspinn_optuna.workloads.supervised import ConvBlock, LocalLearningSNN
from qspinn_optuna.workloads.supervised.local import Trace


def spikes(*shape: int) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.4).float()


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("make", [lambda: Trace(0.5), lambda: layer.SynapseFilter(tau=4.0)])
def test_a_trace_without_memory_puts_out_what_comes_in(make: Any, mode: str) -> None:
    network = nn.Sequential(make())
    functional.set_step_mode(network, mode)
    without = delete_states(network)
    x = spikes(5, 3, 4)
    outputs = without(x) if mode == "m" else torch.stack([without(step) for step in x])
    assert torch.equal(outputs, x)
    assert not torch.equal(network(x) if mode == "m" else torch.stack([network(step) for step in x]), x)


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("soft", [True, False])
def test_a_neuron_without_memory_sees_the_input_of_the_step_alone(mode: str, soft: bool) -> None:
    network = nn.Sequential(neuron.LIFNode(tau=2.0, decay_input=False, v_reset=None if soft else 0.0))
    functional.set_step_mode(network, mode)
    without = delete_states(network)
    x = 2 * torch.rand((6, 3, 4), generator=torch.Generator().manual_seed(1))
    outputs = without(x) if mode == "m" else torch.stack([without(step) for step in x])
    assert torch.equal(outputs, (x >= 1).float())


def test_a_locally_learning_network_lives_on_without_memory() -> None:
    network = delete_states(LocalLearningSNN((2, 6, 6), (ConvBlock(4), ConvBlock(4)), 3))
    with torch.no_grad():
        network.get_parameter("blocks.0.conv.weight").add_(0.5)
        assert network(spikes(2, 4, 2, 6, 6)).abs().sum() > 0


class Loop(nn.Module):
    """Spikes come back by a variable, or by a state."""

    def __init__(self, *, state: bool) -> None:
        super().__init__()
        self.back, self.lif = nn.Linear(4, 4), neuron.LIFNode()
        self.container = layer.ElementWiseRecurrentContainer(self.lif, self.sum) if state else None

    def sum(self, spikes: Tensor, x: Tensor) -> Any:
        return x + self.back(spikes)

    def forward(self, steps: Tensor) -> Tensor:
        spikes = torch.zeros_like(steps[0])
        made = []
        for x in steps:
            spikes = self.lif(self.sum(spikes, x)) if self.container is None else self.container(x)
            made.append(spikes)
        return torch.stack(made)


def test_spikes_that_come_back_by_a_variable_are_told_and_those_of_a_state_are_deleted() -> None:
    x = 3 * spikes(6, 2, 4)
    with pytest.raises(
        ValueError, match="The states of lif cannot be deleted: its spikes of the step before come back"
    ):
        delete_states(Loop(state=False), x)
    without = delete_states(Loop(state=True), x)
    assert torch.equal(without(x.flip(0)).flip(0), without(x))
    assert without(x).any()


def test_states_that_merge_the_batch_with_another_dimension_are_counted() -> None:
    class Merged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = neuron.IFNode(), neuron.IFNode()

        def forward(self, x: Tensor) -> Any:
            return self.second(self.first(x).flatten(0, 1))

    counts = {spec.name: spec.count for spec in calibrate(Merged(), [spikes(3, 5, 7)])}
    assert (counts["first.v"], counts["second.v"]) == (35, 35)


def test_a_sample_without_batch_cannot_be_counted() -> None:
    network = nn.Sequential(nn.Linear(4, 8), neuron.IFNode())
    for count in (lambda: calibrate(network, [spikes(4)]), lambda: find_parameters(network, spikes(4))):
        with pytest.raises(ValueError, match=r"1.v must be \[batch, ...\], got the shape \(8,\)"):
            count()


def test_buffers_are_told() -> None:
    network = nn.Sequential(nn.Linear(4, 8), neuron.IFNode())
    network.register_buffer("projection", torch.rand(3))
    with pytest.warns(UserWarning, match=r"The buffers \['projection'\] are neither quantized nor counted"):
        calibrate(network, [spikes(2, 4)])
