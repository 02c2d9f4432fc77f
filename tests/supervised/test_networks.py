"""The built-in networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna import Family, QuantizationSpace, Rounding, Scheme
from qspinn_optuna.networks import calibrate, check_exact, freeze_network, quantize_network
from qspinn_optuna.networks.calibration.activity import computes_in_fixed_point
from qspinn_optuna.networks.running.watching import run, watched
from qspinn_optuna.workloads.supervised import ConvBlock, ConvSNN, LocalLearningSNN, local_loss

SHAPE = (2, 12, 10)
BLOCKS = (ConvBlock(4, 3, pool=2), ConvBlock(6, 3, stride=2))
BUILDERS: list[Callable[..., nn.Module]] = [ConvSNN, LocalLearningSNN]


def frames(batch: int = 3, steps: int = 5, seed: int = 0) -> Tensor:
    return (torch.rand((batch, steps, *SHAPE), generator=torch.Generator().manual_seed(seed)) < 0.3).float()


@pytest.mark.parametrize("build", BUILDERS)
def test_scores_are_one_for_each_class(build: Callable[..., nn.Module]) -> None:
    network = build(SHAPE, BLOCKS, 7)
    assert network(frames()).shape == (3, 7)


@pytest.mark.parametrize("build", BUILDERS)
def test_the_seed_gives_the_weights(build: Callable[..., nn.Module]) -> None:
    def weights(seed: int) -> Tensor:
        return torch.cat([value.flatten() for value in build(SHAPE, BLOCKS, 7, seed=seed).state_dict().values()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("rounding", Rounding)
def test_they_compute_in_fixed_point(build: Callable[..., nn.Module], rounding: Rounding) -> None:
    network = build(SHAPE, BLOCKS, 7)
    space = QuantizationSpace(calibrate(network, [frames()]), (2, 8))
    quantized = freeze_network(quantize_network(network, space.uniform(6, Scheme.PTQ, rounding)))
    assert computes_in_fixed_point(quantized)
    check_exact(quantized, frames(seed=1))


def test_states_of_a_locally_learning_network_are_three_traces_a_layer_and_on_the_grid() -> None:
    network = LocalLearningSNN(SHAPE, BLOCKS, 7)
    specs = {spec.name: spec for spec in calibrate(network, [frames()])}
    assert {
        name.rpartition(".")[0].rpartition(".")[2] for name, spec in specs.items() if spec.family is Family.TRACE
    } == {
        "q",
        "p",
        "neuron",
    }
    assert specs["blocks.0.q.trace"].count == 2 * 12 * 10
    assert specs["blocks.1.p.trace"].count == 4 * 6 * 5
    assert specs["blocks.1.neuron.r"].count == 6 * 3 * 3
    assert {"blocks.0.p.decay", "blocks.0.neuron.threshold"} <= set(specs)
    config = QuantizationSpace(specs.values(), (2, 8)).uniform(3, Scheme.PTQ, Rounding.NEAREST)
    seen: list[tuple[str, Tensor]] = []
    quantized = quantize_network(network, config)
    run(watched(quantized, lambda name, value: seen.append((name, value))), frames())
    assert {name for name, _ in seen} == {name for name in specs if specs[name].family is Family.TRACE}
    for name, value in seen:
        codes = value / config[name].format.resolution
        assert torch.equal(codes, codes.round())
        assert codes.abs().max() <= 7


def test_local_losses_give_a_layer_the_gradient_of_its_own_readout_only() -> None:
    network = LocalLearningSNN(SHAPE, BLOCKS, 7)
    scores = network.local_scores(frames())
    torch.autograd.backward(scores[1].sum())
    assert network.get_parameter("blocks.0.conv.weight").grad is None
    assert network.get_parameter("blocks.0.readout.weight").grad is None
    gradient = network.get_parameter("blocks.1.conv.weight").grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_the_loss_of_local_learning_is_the_sum_of_the_layers() -> None:
    network = LocalLearningSNN(SHAPE, BLOCKS, 7)
    labels = torch.tensor([0, 3, 6])
    expected = sum(nn.functional.cross_entropy(scores, labels) for scores in network.local_scores(frames()))
    functional.reset_net(network)
    assert torch.allclose(local_loss(network, frames(), labels), torch.as_tensor(expected))
    with pytest.raises(TypeError, match="network must be a LocalLearningSNN, got ConvSNN"):
        local_loss(ConvSNN(SHAPE, BLOCKS, 7), frames(), labels)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": ()}, "blocks must have at least one ConvBlock"),
        (
            {"frame_shape": (2, 2, 2), "blocks": (ConvBlock(4, pool=4),)},
            "frame must not be smaller than the pooling, 4",
        ),
    ],
)
def test_bad_shapes_are_refused(build: Callable[..., nn.Module], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**{"frame_shape": SHAPE, "blocks": BLOCKS, "classes": 7} | changes)


def test_bad_decays_are_refused() -> None:
    for decay in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match="decay must be between 0 and 1"):
            ConvSNN(SHAPE, BLOCKS, 7, decay=decay)
        with pytest.raises(ValueError, match="decay must be between 0 and 1"):
            LocalLearningSNN(SHAPE, BLOCKS, 7, trace_decay=decay)
        with pytest.raises(ValueError, match="decay must be between 0 and 1"):
            LocalLearningSNN(SHAPE, BLOCKS, 7, refractory_decay=decay)


@pytest.mark.parametrize("name", ["channels", "kernel", "stride", "pool"])
def test_bad_blocks_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        ConvBlock(**{"channels": 4, name: 0})
