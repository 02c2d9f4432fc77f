"""Networks whose weights are computed from other parameters, and networks of half precision."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from qspinn_optuna.fixed_point import ParameterQuantization, Rounding, quantize
from qspinn_optuna.networks import (
    calibrate,
    check_exact,
    find_parameters,
    fold_batch_norm,
    freeze_network,
    quantize_network,
)
from qspinn_optuna.parameters import Family
from tests.networks.builders import FORMATS, config_of, eighths

INPUTS = eighths(4, 6)
NAMES = ["0.weight", "0.bias", "1.v", "1.threshold", "2.weight", "3.v", "3.threshold"]


def pruned(module: nn.Module) -> None:
    prune.ln_structured(module, "weight", amount=0.5, n=1, dim=1)  # type: ignore[no-untyped-call]
    prune.random_unstructured(module, "bias", amount=2)  # type: ignore[no-untyped-call]


def pruned_again(module: nn.Module) -> None:
    prune.l1_unstructured(module, "weight", amount=0.3)  # type: ignore[no-untyped-call]
    prune.l1_unstructured(module, "weight", amount=0.3)  # type: ignore[no-untyped-call]


def centred(module: nn.Module) -> None:
    class Centred(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return weight - weight.mean(dim=1, keepdim=True)

    torch.nn.utils.parametrize.register_parametrization(module, "weight", Centred())


def old_weight_norm(module: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises the new one.
        weight_norm(module, dim=1)


KINDS: dict[str, Callable[[nn.Module], Any]] = {
    "pruned": pruned,
    "pruned twice": pruned_again,
    "weight norm": old_weight_norm,
    "weight norm, new": parametrizations.weight_norm,
    "spectral norm": spectral_norm,
    "spectral norm, new": parametrizations.spectral_norm,
    "a user's own": centred,
}


def make_network(kind: str) -> Any:
    torch.manual_seed(1)
    network: Any = nn.Sequential(layer.Linear(6, 5), neuron.IFNode(), layer.Linear(5, 3, bias=False), neuron.IFNode())
    KINDS[kind](network[0])
    for _ in range(3):  # Spectral norms become settled.
        network(INPUTS)
    functional.reset_net(network)
    return network


def used_weight(network: Any) -> Tensor:
    """What the first layer multiplies with, seen from its outputs."""
    with torch.no_grad():
        synapse = network.eval()[0]
        columns: Tensor = synapse(torch.eye(6)) - synapse(torch.zeros(1, 6))
        return columns.T


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_that_are_used_are_quantized(kind: str) -> None:
    network = make_network(kind)
    used = used_weight(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batches = [INPUTS]
    assert [parameter.name for parameter in find_parameters(network)] == NAMES
    assert [parameter.name for parameter in calibrate(network, batches)] == NAMES
    copied: Any = quantize_network(network, config_of(network))
    fmt = FORMATS[Family.WEIGHT]
    # The weights seen from the outputs are off by the rounding of sums.
    expected = quantize(used, fmt, Rounding.NEAREST)
    off = (copied[0].weight.detach() - expected).abs() / fmt.resolution
    assert int((off > 0).sum()) <= 1
    assert float(off.max()) <= 1
    frozen = freeze_network(copied).eval()
    check_exact(frozen, INPUTS)
    torch.testing.assert_close(fold_batch_norm(network, INPUTS)(INPUTS), network.eval()(INPUTS))
    functional.reset_net(network)
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    # It is trained as before.
    network.train()(INPUTS).sum().backward()
    assert any(value.grad is not None for name, value in network[0].named_parameters() if name != "bias")


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_trained_and_copied(kind: str) -> None:
    network = make_network(kind)
    copied = quantize_network(network, config_of(network))
    optimizer = torch.optim.Adam(copied.parameters(), lr=0.05)
    before = copied(INPUTS)
    functional.reset_net(copied)
    for _ in range(3):
        optimizer.zero_grad()
        (copied(INPUTS) - 0.5).square().sum().backward()
        functional.reset_net(copied)
        optimizer.step()
    after = copied(INPUTS)
    functional.reset_net(copied)
    assert before.shape == after.shape
    loaded = quantize_network(network, config_of(network))
    loaded.load_state_dict(copied.state_dict())
    for again in (loaded, copy.deepcopy(copied), pickle.loads(pickle.dumps(copied)), freeze_network(copied)):
        assert torch.equal(again(INPUTS), after)


def trained(network: Any, rate: float = 0.3) -> None:
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (network.train()(INPUTS) - 1).square().sum().backward()
        functional.reset_net(network)
        optimizer.step()


@pytest.mark.parametrize("folded_first", [False, True])
def test_pruned_weights_stay_zero_through_training(folded_first: bool) -> None:
    network: Any = make_network("pruned")
    zero, zero_bias = network[0].weight == 0, network[0].bias == 0
    assert int(zero.sum()) == 15
    assert int(zero_bias.sum()) == 2
    if folded_first:
        network = folded = cast(Any, fold_batch_norm(network, INPUTS))
        before = folded[0].weight.detach().clone()
        trained(network)
        assert not torch.equal(folded[0].weight, before)
    copied = quantize_network(network, config_of(network))
    masters: Any = copied.get_submodule("0")
    before = masters._parameters["weight"].detach().clone()
    trained(copied)
    assert not torch.equal(masters._parameters["weight"], before)
    copied(INPUTS)
    frozen: Any = freeze_network(copied)
    for found in (masters._parameters, frozen[0]._parameters):
        assert not bool(found["weight"][zero].any())
        assert not bool(found["bias"][zero_bias].any())
    assert bool(frozen[0].weight[~zero].any())


def test_a_training_that_ends_with_an_update_leaves_pruned_weights_zero() -> None:
    network = make_network("pruned twice")
    zero = network[0].weight == 0
    copied = quantize_network(network, config_of(network))
    trained(copied)
    frozen: Any = freeze_network(copied)
    assert not bool(frozen[0].weight[zero].any())


def test_parameters_that_are_not_trained_stay_so() -> None:
    network = make_network("spectral norm")
    network[0].weight_orig.requires_grad_(False)
    copied = quantize_network(network, config_of(network))
    assert not dict(copied.named_parameters())["0.weight"].requires_grad
    assert dict(copied.named_parameters())["2.weight"].requires_grad


class Casting(nn.Module):
    """Of half precision, with a cast in its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.neurons, self.last = layer.Linear(6, 5), neuron.LIFNode(v_threshold=0.125), layer.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        spikes: Tensor = self.neurons(self.first(x.to(torch.bfloat16)))
        return self.last(spikes)  # type: ignore[no-any-return]


class Plain(Casting):
    """Without the cast."""

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.last(self.neurons(self.first(x)))
        return output


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = Casting().to(dtype)
    inputs = (INPUTS - 0.75).to(dtype)
    with pytest.warns(UserWarning, match="float16 or bfloat16"):
        specs = calibrate(network, [inputs])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folded = fold_batch_norm(network, inputs)
        config = config_of(network)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # It is said once.
        copied = quantize_network(folded, config)
    assert [spec.name for spec in specs][:2] == ["first.weight", "first.bias"]
    assert all(isinstance(config[spec.name], ParameterQuantization) for spec in specs)
    output = copied(inputs)
    assert len(output.detach().unique(dim=0)) > 1  # Some neurons fire, not all.
    assert output.dtype == torch.float32
    output.sum().backward()
    assert dict(copied.named_parameters())["first.weight"].grad is not None
    functional.reset_net(copied)
    frozen = freeze_network(copied).eval()
    check_exact(frozen, inputs)
    assert torch.equal(frozen(inputs), frozen_twin(network, config)(INPUTS - 0.75))
    assert network.first.weight.dtype == dtype


def frozen_twin(network: nn.Module, config: Any) -> nn.Module:
    """The same in float32 from the start."""
    twin = Plain()
    twin.load_state_dict(network.state_dict())
    return freeze_network(quantize_network(twin, config)).eval()


@pytest.mark.parametrize("make", [neuron.LIFNode, neuron.KLIFNode, neuron.CUBALIFNode])
def test_autocast_does_not_reach_quantized_layers(make: Callable[..., nn.Module]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(layer.Linear(6, 5), make(v_threshold=0.25), layer.Linear(5, 3))
    copied = quantize_network(network, config_of(network))
    expected = copied(INPUTS)
    functional.reset_net(copied)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = copied(INPUTS)
    assert output.dtype == torch.float32
    assert torch.equal(output, expected)
    output.sum().backward()
