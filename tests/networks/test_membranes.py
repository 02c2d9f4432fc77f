from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.networks import quantize_network
from qspinn_optuna.networks.membranes import membrane_values
from tests.networks.builders import config_of, eighths, on_grid, run_multi, states_of

STEPS, BATCH = 6, 3
STARTS = {"1.v": -0.25, "4.v": 0.0}
INPUTS = eighths(STEPS, BATCH, 5)


def make_network() -> Any:
    torch.manual_seed(4)
    network: Any = nn.Sequential(
        layer.Linear(5, 4),
        neuron.LIFNode(2.5, v_threshold=0.4, v_reset=-0.25),
        layer.SynapseFilter(3.0),
        layer.Linear(4, 3),
        neuron.IFNode(v_threshold=0.4, v_reset=None),
    )
    functional.set_step_mode(network, "m")
    return network


def expected(network: nn.Module) -> dict[str, Tensor]:
    """Fresh states, then what SpikingJelly's own recording of potentials holds."""
    _, _, sequences = run_multi(network, INPUTS)
    return {
        name: torch.cat([torch.full_like(sequences[name][:1], STARTS[name]), sequences[name]]).flatten().detach()
        for name in STARTS
    }


def test_all_steps_of_all_neurons_are_given() -> None:
    network = make_network()
    values = membrane_values(network, INPUTS)
    assert list(values) == ["1.v", "4.v"]
    for name, sequence in expected(network).items():
        np.testing.assert_array_equal(values[name], sequence.numpy())


def test_quantized_networks_show_grid_values() -> None:
    network = make_network()
    config = config_of(network)
    quantized = quantize_network(network, config, seed=0)
    values = membrane_values(quantized, INPUTS)
    for name, sequence in expected(quantized).items():
        np.testing.assert_array_equal(values[name], sequence.numpy())
        assert on_grid(torch.from_numpy(values[name]), config[name].format)


def test_a_sample_is_of_the_same_neurons_and_steps_for_both() -> None:
    network = make_network()
    quantized = quantize_network(network, config_of(network))
    before, after = (membrane_values(net, INPUTS, maximum=20, seed=3) for net in (network, quantized))
    everything = membrane_values(network, INPUTS), membrane_values(quantized, INPUTS)
    for name in before:
        assert len(before[name]) == len(after[name]) == 20
        pairs = set(zip(everything[0][name], everything[1][name], strict=True))
        assert set(zip(before[name], after[name], strict=True)) <= pairs
    again = membrane_values(network, INPUTS, maximum=20, seed=3)
    other = membrane_values(network, INPUTS, maximum=20, seed=4)
    assert all(np.array_equal(before[name], again[name]) for name in before)
    assert not all(np.array_equal(before[name], other[name]) for name in before)


def test_the_network_is_left_untouched() -> None:
    network = make_network()
    network(INPUTS)
    before = copy.deepcopy(states_of(network))
    membrane_values(network, INPUTS)
    after = states_of(network)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert network.training


def test_single_steps_and_networks_that_are_a_neuron() -> None:
    values = membrane_values(neuron.IFNode(v_threshold=1.0), torch.tensor([[0.25, 0.5]]))
    assert list(values) == ["v"]
    assert values["v"].tolist() == [0.0, 0.0, 0.25, 0.5]


def test_bad_input_is_refused() -> None:
    network = make_network()
    with pytest.raises(TypeError, match=r"inputs must be a tensor.*got list"):
        membrane_values(network, [INPUTS])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"network must be a torch\.nn\.Module"):
        membrane_values("network", INPUTS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="maximum must be an integer of at least 1"):
        membrane_values(network, INPUTS, maximum=0)
    with pytest.raises(ValueError, match="must have a layer of neurons with a membrane"):
        membrane_values(nn.Linear(5, 2), INPUTS)
    with pytest.raises(ValueError, match=r"1\.v has values that are not finite"):
        membrane_values(network, INPUTS * torch.nan)
    with pytest.raises(ValueError, match="cannot be quantized"):
        membrane_values(nn.Sequential(nn.LayerNorm(5), neuron.IFNode()), INPUTS)
