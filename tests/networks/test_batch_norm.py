"""Networks without batch normalization put out what they did with it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.networks import find_parameters, fold_batch_norm, quantize_network
from qspinn_optuna.networks.modules.channel_affine import ChannelAffine
from qspinn_optuna.parameters import Family
from tests.networks.builders import config_of

STEPS = 4
NORMS = nn.modules.batchnorm._BatchNorm


def statistics(network: nn.Module, seed: int = 0) -> nn.Module:
    """Statistics and factors that make normalization do something."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, NORMS):
            for name, (low, high) in {"running_mean": (-1, 1), "running_var": (0.3, 2), "weight": (-2, 2)}.items():
                values = getattr(module, name)
                if values is not None:
                    nn.init.uniform_(values, low, high, generator=generator)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -1, 1, generator=generator)
    return network


def modes(network: nn.Module, step_mode: str) -> nn.Module:
    functional.set_step_mode(network, step_mode)
    return network


@dataclass(frozen=True)
class Pair:
    synapse: Callable[[bool], nn.Module]
    norm: Callable[..., nn.Module]
    shape: tuple[int, ...]


PAIRS = {
    "Linear": Pair(lambda bias: layer.Linear(4, 6, bias), lambda **a: layer.BatchNorm1d(6, **a), (3, 4)),
    "Conv1d": Pair(lambda bias: layer.Conv1d(2, 6, 3, bias=bias), lambda **a: layer.BatchNorm1d(6, **a), (3, 2, 5)),
    "Conv2d": Pair(
        lambda bias: layer.Conv2d(4, 6, 3, groups=2, bias=bias), lambda **a: layer.BatchNorm2d(6, **a), (3, 4, 5, 4)
    ),
    "Conv3d": Pair(
        lambda bias: layer.Conv3d(2, 6, 2, bias=bias), lambda **a: layer.BatchNorm3d(6, **a), (2, 2, 3, 3, 3)
    ),
    "ConvTranspose1d": Pair(
        lambda bias: layer.ConvTranspose1d(2, 6, 3, bias=bias), lambda **a: layer.BatchNorm1d(6, **a), (3, 2, 5)
    ),
    "ConvTranspose2d": Pair(
        lambda bias: layer.ConvTranspose2d(2, 6, 3, stride=2, bias=bias),
        lambda **a: layer.BatchNorm2d(6, **a),
        (3, 2, 4, 4),
    ),
    "ConvTranspose2d-groups": Pair(
        lambda bias: layer.ConvTranspose2d(4, 6, 3, groups=2, bias=bias),
        lambda **a: layer.BatchNorm2d(6, **a),
        (3, 4, 4, 4),
    ),
    "ConvTranspose3d": Pair(
        lambda bias: layer.ConvTranspose3d(2, 6, 2, bias=bias), lambda **a: layer.BatchNorm3d(6, **a), (2, 2, 3, 3, 3)
    ),
}


def evaluated(network: nn.Module, sample: Tensor) -> Tensor:
    """Its output in float64, where no spike hangs on a rounded sum."""
    network = copy.deepcopy(network).double().eval()
    functional.reset_net(network)
    with torch.no_grad():
        output: Tensor = network(sample.double())
    return output


def check_same(network: nn.Module, folded: nn.Module, sample: Tensor) -> None:
    assert not any(isinstance(module, NORMS) for module in folded.modules())
    expected = evaluated(network, sample)
    assert float(expected.abs().max()) > 0
    torch.testing.assert_close(evaluated(folded, sample), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_folding_keeps_the_output(name: str, affine: bool, bias: bool, step_mode: str) -> None:
    torch.manual_seed(6)
    pair = PAIRS[name]
    network = statistics(nn.Sequential(pair.synapse(bias), pair.norm(affine=affine)))
    sample = torch.randn(STEPS, *pair.shape) if step_mode == "m" else torch.randn(pair.shape)
    modes(network, step_mode)
    check_same(network, fold_batch_norm(network, sample), sample)


def deep_network() -> nn.Module:
    torch.manual_seed(7)
    return statistics(
        nn.Sequential(
            layer.Conv2d(1, 4, 3, bias=False),
            layer.BatchNorm2d(4),
            neuron.LIFNode(),
            layer.Conv2d(4, 4, 2),
            layer.BatchNorm2d(4),
            neuron.IFNode(),
            layer.Flatten(),
            layer.Linear(4, 3, bias=False),
            layer.BatchNorm1d(3),
        )
    )


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_deep_networks_are_folded(step_mode: str) -> None:
    network = modes(deep_network(), step_mode)
    sample = torch.randn(STEPS, 5, 1, 4, 4) if step_mode == "m" else torch.randn(5, 1, 4, 4)
    folded = fold_batch_norm(network, sample)
    check_same(network, folded, sample)
    # Then it can be quantized; the original is refused.
    quantize_network(folded, config_of(folded))
    with pytest.raises(ValueError, match=r"1 \(BatchNorm2d\) cannot be quantized: .*fold_batch_norm"):
        find_parameters(network)


def test_containers_are_folded() -> None:
    torch.manual_seed(8)
    network = statistics(
        nn.Sequential(
            layer.SeqToANNContainer(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)),
            neuron.LIFNode(step_mode="m"),
            layer.MultiStepContainer(nn.Conv2d(3, 2, 2), nn.BatchNorm2d(2), neuron.IFNode()),
        )
    )
    sample = torch.randn(STEPS, 2, 1, 5, 5) * 3
    check_same(network, fold_batch_norm(network, sample), sample)


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_blocks_may_be_in_any_order(step_mode: str) -> None:
    """What precedes a normalization is seen in the run, not in the order of the modules."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.other_norm = layer.BatchNorm1d(4), layer.BatchNorm1d(4)
            self.node = neuron.IFNode()
            self.late, self.early = layer.Linear(4, 4), layer.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            spikes = self.node(self.norm(self.early(x)))
            output: Tensor = self.other_norm(self.late(spikes)) + x
            return output

    torch.manual_seed(9)
    network = modes(statistics(Block()), step_mode)
    sample = torch.randn(STEPS, 3, 4) if step_mode == "m" else torch.randn(3, 4)
    check_same(network, fold_batch_norm(network, sample), sample)


def test_threshold_dependent_normalization_is_folded() -> None:
    torch.manual_seed(10)
    network = statistics(
        nn.Sequential(
            layer.Conv2d(1, 3, 3, step_mode="m"),
            layer.ThresholdDependentBatchNorm2d(1.0, 0.5, 3),
            neuron.LIFNode(v_threshold=0.5, step_mode="m"),
            layer.Flatten(step_mode="m"),
            layer.Linear(12, 4, step_mode="m"),
        )
    )
    sample = torch.randn(STEPS, 2, 1, 4, 4)
    check_same(network, fold_batch_norm(network, sample), sample)


def test_the_original_is_untouched_and_the_copy_can_be_trained() -> None:
    network = deep_network().train()
    before = copy.deepcopy(network.state_dict())
    folded = fold_batch_norm(network, torch.randn(5, 1, 4, 4))
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    folded.train()(torch.randn(5, 1, 4, 4)).sum().backward()
    assert len(list(folded.parameters())) == 6
    for parameter in folded.parameters():
        assert parameter.is_leaf
        assert parameter.grad is not None
    optimizer = torch.optim.SGD(folded.parameters(), lr=0.1)
    optimizer.step()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_frozen_weights_stay_frozen() -> None:
    network = deep_network()
    network.requires_grad_(False)
    folded = fold_batch_norm(network, torch.randn(5, 1, 4, 4))
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_networks_without_normalization_are_copied() -> None:
    network = nn.Sequential(nn.Linear(2, 3))
    folded: Any = fold_batch_norm(network, torch.zeros(1, 2))
    assert folded is not network
    assert torch.equal(folded.get_parameter("0.weight"), network.get_parameter("0.weight"))


# Through what is in between -----------------------------------------------------------------------------------------


class Between(nn.Module):
    """Functions of the user's between layer and normalization, and after it."""

    def __init__(
        self,
        synapse: nn.Module,
        norm: nn.Module,
        before: Callable[[Tensor], Tensor],
        after: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        super().__init__()
        self.synapse, self.norm, self.before, self.after = synapse, norm, before, after
        self.node = neuron.IFNode(v_threshold=0.1)

    def forward(self, x: Tensor) -> Tensor:
        spikes: Tensor = self.node(self.after(self.norm(self.before(self.synapse(x)))))
        return spikes


class Steps(nn.Module):
    """A layer in a loop over time, and one normalization of all its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm, self.node = nn.Linear(4, 3), nn.BatchNorm1d(3), neuron.LIFNode(step_mode="m")

    def forward(self, x_seq: Tensor) -> Tensor:
        currents = torch.stack([self.linear(x) for x in x_seq], dim=1)
        spikes: Tensor = self.node(self.norm(currents.flatten(0, 1)).reshape(len(x_seq), -1, 3))
        return spikes


def tokens(x: Tensor) -> Tensor:
    """[N, C, H, W] to [H W N, C]."""
    return x.flatten(2).permute(2, 0, 1).reshape(-1, x.shape[1])


THROUGH: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "transposes": (
        lambda: Between(
            nn.Linear(4, 6), nn.BatchNorm1d(6), lambda x: x.transpose(-1, -2), lambda x: x.transpose(-1, -2)
        ),
        (3, 5, 4),
    ),
    "tokens": (lambda: Between(nn.Conv2d(1, 6, 3), nn.BatchNorm1d(6), tokens), (2, 1, 5, 5)),
    "time first": (
        lambda: Between(
            nn.Conv2d(1, 6, 3),
            nn.BatchNorm3d(6),
            lambda x: x.reshape(STEPS, -1, *x.shape[1:]).movedim(0, 2),
            lambda x: x.movedim(2, 0),
        ),
        (STEPS * 2, 1, 5, 5),
    ),
    "means": (lambda: Between(nn.Conv2d(1, 6, 3), nn.BatchNorm1d(6), lambda x: x.mean((2, 3))), (4, 1, 5, 5)),
    "dropout": (lambda: nn.Sequential(nn.Linear(4, 6), nn.Dropout(), nn.Identity(), nn.BatchNorm1d(6)), (3, 4)),
    "pools": (lambda: nn.Sequential(nn.Conv2d(1, 6, 2), nn.AvgPool2d(3), nn.BatchNorm2d(6)), (2, 1, 7, 7)),
    "flattened": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(6), neuron.IFNode()
        ),
        (2, 1, 4, 4),
    ),
    "containers": (
        lambda: nn.Sequential(
            layer.SeqToANNContainer(nn.Conv2d(1, 6, 2)), layer.MultiStepContainer(nn.BatchNorm2d(6), neuron.IFNode())
        ),
        (STEPS, 2, 1, 4, 4),
    ),
    "time last": (
        lambda: nn.Sequential(layer.TLastSeqToANNContainer(nn.Conv2d(1, 6, 2), nn.Dropout(), nn.BatchNorm2d(6))),
        (2, 1, 4, 4, STEPS),
    ),
    "a loop": (Steps, (STEPS, 3, 4)),
}


@pytest.mark.parametrize("name", THROUGH)
def test_folding_goes_through_what_leaves_channels_alone(name: str) -> None:
    torch.manual_seed(12)
    make, shape = THROUGH[name]
    network, sample = statistics(make()), 3 * torch.randn(shape)
    folded = fold_batch_norm(network, sample)
    check_same(network, folded, sample)
    assert affine_steps(folded) == []


def affine_steps(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, ChannelAffine)]


@pytest.mark.parametrize("seed", range(3))
def test_rounding_in_large_networks_is_no_difference(seed: int) -> None:
    """Many sums, many steps and inputs of all digits: folded in float32, some spike would flip."""
    torch.manual_seed(seed)
    blocks = [
        (layer.Conv2d(n, 32, 3, padding=1, bias=False), layer.BatchNorm2d(32), neuron.IFNode()) for n in (2, 32, 32)
    ]
    network = modes(statistics(nn.Sequential(*(module for block in blocks for module in block)), seed), "m")
    sample = torch.randn(8, 2, 2, 10, 10)
    folded = fold_batch_norm(network, sample)
    assert affine_steps(folded) == []


def test_weights_are_folded_in_float64() -> None:
    torch.manual_seed(13)
    network: Any = statistics(nn.Sequential(nn.Linear(30, 40), nn.BatchNorm1d(40)))
    folded = fold_batch_norm(network, torch.randn(2, 30))
    linear, norm = network[0], network[1]
    scale = norm.weight.double().numpy(force=True) / np.sqrt(norm.running_var.double().numpy(force=True) + norm.eps)
    weight = linear.weight.double().numpy(force=True) * scale[:, None]
    bias = (linear.bias - norm.running_mean).double().numpy(force=True) * scale + norm.bias.double().numpy(force=True)
    assert np.array_equal(folded.get_parameter("0.weight").numpy(force=True), weight.astype(np.float32))
    np.testing.assert_allclose(folded.get_parameter("0.bias").numpy(force=True), bias, rtol=1e-6, atol=1e-7)


# Affine steps of their own ------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """The convolution's output goes into the normalization, and past it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.bn(y) + y  # type: ignore[no-any-return]


class Twice(nn.Module):
    """Two normalizations of one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return torch.cat([self.one(y), self.two(y)])


class Reused(nn.Module):
    """A convolution that is run with and without the normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(self.bn(self.conv(x)))
        return y


class Functional(nn.Module):
    """Something happens between convolution and normalization that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x).relu())
        return y


class Preactivated(nn.Module):
    """Normalization of a sum of two branches, before the neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = layer.Conv2d(1, 3, 3, padding=1), layer.Conv2d(3, 3, 3, padding=1)
        self.inner, self.outer = layer.BatchNorm2d(3), layer.BatchNorm2d(3)
        self.first, self.second = neuron.LIFNode(), neuron.IFNode()

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        y = y + self.inner(self.conv(self.first(y)))
        spikes: Tensor = self.second(self.outer(y))
        return spikes


AFFINE: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "past it": (Residual, ["bn"]),
    "two of one": (Twice, ["one", "two"]),
    "used again": (Reused, ["bn"]),
    "a function": (Functional, ["bn"]),
    "first": (lambda: nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3)), ["0"]),
    "a module": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2)), ["2"]),
    "a neuron": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), neuron.IFNode(), nn.BatchNorm2d(2)), ["2"]),
    "padded pools": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2, padding=1), nn.BatchNorm2d(2)),
        ["2"],
    ),
    "other channels": (
        lambda: Between(nn.Conv2d(1, 4, 2), nn.BatchNorm1d(4), lambda x: x.flatten(2).transpose(1, 2)),
        ["norm"],
    ),
    "a sum": (Preactivated, ["outer"]),
}


@pytest.mark.parametrize("name", AFFINE)
def test_what_cannot_be_folded_is_an_affine_step(name: str) -> None:
    torch.manual_seed(11)
    make, steps = AFFINE[name]
    network, sample = (
        statistics(make()),
        torch.randn(2, 1, 3, 3) if name == "other channels" else 3 * torch.randn(2, 1, 5, 5),
    )
    folded = fold_batch_norm(network, sample)
    check_same(network, folded, sample)
    assert affine_steps(folded) == steps
    families = {parameter.name: (parameter.family, parameter.count) for parameter in find_parameters(folded)}
    for step in steps:
        channels = len(folded.get_parameter(f"{step}.scale"))
        assert families[f"{step}.scale"] == (Family.WEIGHT, channels)
        assert families[f"{step}.offset"] == (Family.BIAS, channels)


def test_a_wrong_proposal_is_taken_back() -> None:
    """The pool pads with zeros, so that the offset cannot come before; the other normalization is folded."""
    torch.manual_seed(14)
    network = statistics(
        nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.AvgPool2d(2, padding=1), nn.BatchNorm2d(2), neuron.IFNode(v_threshold=0.1),
            nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), neuron.IFNode(v_threshold=0.1),
        )
    )  # fmt: skip
    sample = 3 * torch.randn(4, 1, 6, 6)
    folded = fold_batch_norm(network, sample)
    check_same(network, folded, sample)
    assert affine_steps(folded) == ["2"]


def test_normalization_that_no_sample_reaches_stays() -> None:
    class Auxiliary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(4, 3), nn.BatchNorm1d(3)
            self.unused = nn.BatchNorm1d(3, track_running_stats=False)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.norm(self.linear(x))
            return y

    folded: Any = fold_batch_norm(statistics(Auxiliary()), torch.randn(2, 4))
    assert isinstance(folded.unused, nn.BatchNorm1d)
    assert isinstance(folded.norm, nn.Identity)


def test_outputs_of_any_structure_and_random_encoders() -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm, self.node = nn.Linear(4, 3), nn.BatchNorm1d(3), neuron.LIFNode()

        def forward(self, x: Tensor) -> dict[str, Any]:
            drive = self.norm(self.linear((torch.rand_like(x) < x).to(torch.float32)).float())
            return {"scores": drive, "rest": (self.node(drive), [drive.sum()])}

    folded = fold_batch_norm(statistics(Several()), torch.rand(5, 4))
    assert affine_steps(folded) == []


class ThresholdScaled(nn.BatchNorm2d):
    """[batch, channels, ..., steps], times the threshold, as in code that is copied from publications."""

    def forward(self, x: Tensor) -> Tensor:
        mean, variance, weight, bias = (
            value[:, None, None, None]  # type: ignore[index]
            for value in (self.running_mean, self.running_var, self.weight, self.bias)
        )
        return weight * 0.5 * (x - mean) / torch.sqrt(variance + self.eps) + bias


class OfTokens(nn.BatchNorm1d):
    """[batch, tokens, channels]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class OverTime(nn.BatchNorm1d):
    """[steps, batch, channels]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(0, 1)).view(x.shape)


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (ThresholdScaled(4), (5, 4, 3, 3, 2)),
        (OfTokens(4), (5, 3, 4)),
        (OfTokens(4), (5, 4, 4)),
        (OverTime(4), (2, 5, 4)),
    ],
)
def test_normalization_with_a_forward_of_the_users_is_measured(norm: nn.Module, shape: tuple[int, ...]) -> None:
    network = statistics(nn.Sequential(neuron.IFNode(v_threshold=0.5), norm, neuron.IFNode(v_threshold=0.25)))
    x = 2 * torch.rand(shape)
    folded = fold_batch_norm(network, x)
    assert affine_steps(folded) == ["1"]
    assert folded[1].scale.shape == (4,)  # type: ignore[index]
    functional.reset_net(network)
    assert torch.allclose(folded(x), network.eval()(x))
    spikes = torch.randint(0, 2, shape).float()
    assert torch.allclose(folded[1](spikes), network[1](spikes), atol=1e-6)  # type: ignore[index]


class FrozenNorm(nn.Module):
    """[batch, channels, ...], with all that it computes with in buffers, as torchvision's has it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean"):
            self.register_buffer(name, torch.randn(channels))
        self.register_buffer("running_var", torch.rand(channels) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        shape = (1, -1, *[1] * (x.ndim - 2))
        scale = self.weight.reshape(shape) * (self.running_var.reshape(shape) + 1e-5).rsqrt()  # type: ignore[operator]
        return x * scale + (self.bias.reshape(shape) - self.running_mean.reshape(shape) * scale)  # type: ignore[operator]


class TrainedNorm(FrozenNorm):
    """Its weight and bias are parameters; it normalizes by a function of torch's, with the channels last."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        for name in ("weight", "bias"):
            values: Any = self._buffers.pop(name)
            self.register_parameter(name, nn.Parameter(values))

    def forward(self, x: Tensor) -> Tensor:
        values: Any = (self.running_mean, self.running_var, self.weight, self.bias)
        return nn.functional.batch_norm(x.movedim(-1, 1), *values).movedim(1, -1)


@pytest.mark.parametrize(("norm", "last"), [(FrozenNorm, False), (TrainedNorm, True)])
def test_normalization_of_any_class_is_told_by_its_statistics(norm: Any, last: bool) -> None:
    torch.manual_seed(30)
    neurons = neuron.IFNode(v_threshold=0.5), neuron.IFNode(v_threshold=0.125)
    network = nn.Sequential(nn.Conv2d(2, 5, 3), norm(5), neurons[0], norm(5), neurons[1])
    if last:
        network[0] = nn.Linear(5, 5)
    x = 2 * torch.randn(4, *((3, 3, 5) if last else (2, 6, 6)))
    folded = fold_batch_norm(network, x)
    check_same(network, folded, x)
    assert affine_steps(folded) == ["3"]
    assert not list(folded.buffers())
    assert {parameter.name for parameter in find_parameters(folded)} >= {"3.scale", "3.offset"}


def test_what_keeps_statistics_and_is_no_normalization_stays() -> None:
    class Clipping(FrozenNorm):
        def forward(self, x: Tensor) -> Tensor:
            return x.clamp(max=float(self.running_var.max()))  # type: ignore[operator]

    network = nn.Sequential(nn.Linear(3, 4), Clipping(4), nn.BatchNorm1d(4))
    assert isinstance(fold_batch_norm(network, torch.randn(5, 3))[1], Clipping)  # type: ignore[index]


# Refused ------------------------------------------------------------------------------------------------------------


def test_normalization_without_running_statistics_is_refused() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False))
    with pytest.raises(ValueError, match=r"^1 \(BatchNorm1d\) keeps no running statistics"):
        fold_batch_norm(network, torch.randn(5, 3))


@pytest.mark.parametrize("module", [True, False])
def test_normalization_by_a_function_is_refused_with_the_names_of_its_statistics(module: bool) -> None:
    class ByFunction(nn.Linear):
        def __init__(self) -> None:
            super().__init__(3, 4)
            self.bn = nn.BatchNorm1d(4) if module else nn.Identity()
            if not module:
                self.register_buffer("running_mean", torch.zeros(4))
                self.register_buffer("running_var", torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            owner: Any = self.bn if module else self
            return nn.functional.batch_norm(super().forward(x), owner.running_mean, owner.running_var)

    names = r"\['bn\.running_mean', 'bn\.running_var'\]" if module else r"\['running_mean', 'running_var'\]"
    with pytest.raises(ValueError, match=rf"^forward normalizes by torch\.nn\.functional\.batch_norm with {names}"):
        fold_batch_norm(ByFunction(), torch.randn(5, 3))


class Clipped(nn.BatchNorm1d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).clamp(-0.5, 0.5)


def test_normalization_of_the_users_is_refused_by_name() -> None:
    network = statistics(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), neuron.IFNode(), Clipped(4)))
    with pytest.raises(ValueError, match=r"^3 \(Clipped\) computes something else .* off by \d"):
        fold_batch_norm(network, 3 * torch.randn(5, 3))


@pytest.mark.parametrize("name", ["0.weight", "1.running_var"])
def test_values_that_are_not_finite_are_named(name: str) -> None:
    network = statistics(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), neuron.IFNode()))
    network.state_dict()[name][1] = torch.nan
    with pytest.raises(ValueError, match=rf"^{name} must be finite"):
        fold_batch_norm(network, torch.randn(5, 3))


def test_draws_of_numpy_are_refused_by_name() -> None:
    class Jittered(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = super().forward(x * float(np.random.rand()))  # type: ignore[no-untyped-call]  # noqa: NPY002
            return y

    with pytest.raises(ValueError, match=r"^network draws differently .* numpy\.random"):
        fold_batch_norm(statistics(Jittered(nn.Linear(3, 4), nn.BatchNorm1d(4))), torch.randn(5, 3))
