"""Networks of which torch has compiled parts, or does not know all shapes yet."""

from __future__ import annotations

import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import nn

from qspinn_optuna.networks import find_parameters, quantize_network
from qspinn_optuna.networks.running.compiled import as_python, initialize
from tests.networks.builders import config_of, eighths

INPUTS = eighths(4, 6)


def make() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), neuron.IFNode(), nn.Linear(5, 3))


def test_what_torch_compiles_is_quantized_as_it_is_in_python() -> None:
    plain, inner = make(), make()
    inner[2] = torch.compile(inner[2], backend="eager")  # type: ignore[assignment]
    for network in (inner, torch.compile(make(), backend="eager")):
        assert find_parameters(network) == find_parameters(plain)  # type: ignore[arg-type]
        quantized = quantize_network(network, config_of(plain))  # type: ignore[arg-type]
        assert torch.equal(quantized(INPUTS), quantize_network(plain, config_of(plain))(INPUTS))
    assert as_python(plain) is plain


def test_torchscript_is_refused_by_name() -> None:
    network = nn.Sequential(nn.Linear(6, 5), torch.jit.script(nn.Linear(5, 3)))
    with pytest.raises(ValueError, match=r"^1 is of TorchScript"):
        find_parameters(network)


def test_lazy_parameters_are_initialized_or_refused() -> None:
    network = nn.Sequential(nn.LazyLinear(5), neuron.IFNode()).train()
    with pytest.raises(ValueError, match=r"^0\.weight has no shape yet"):
        find_parameters(network)
    initialize(network, INPUTS)
    assert [parameter.count for parameter in find_parameters(network, INPUTS)] == [30, 5, 5, 1]
    assert network[0].training
