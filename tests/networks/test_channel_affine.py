"""Affine steps per channel: in floating point, and in fixed point as integers compute them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.fixed_point import QFormat, Rounding
from qspinn_optuna.networks import check_exact, find_parameters, fold_batch_norm, freeze_network, quantize_network
from qspinn_optuna.networks.modules.channel_affine import (
    ChannelAffine,
    SteppedChannelAffine,
    TemporalChannelAffine,
    accumulator_fraction_bits,
)
from qspinn_optuna.parameters import Family
from tests.networks.builders import FORMATS, config_of, eighths, run_multi, run_single

STEPS = 3


def uniform(*shape: int, seed: int, low: float = -2.0, high: float = 2.0) -> Tensor:
    return torch.empty(shape).uniform_(low, high, generator=torch.Generator().manual_seed(seed))


class Summed(nn.Module):
    """A sum of two layers, normalized through time before the neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = layer.Linear(4, 5), layer.Linear(4, 5)
        self.norm = layer.TemporalEffectiveBatchNorm1d(STEPS, 5)
        self.node = neuron.LIFNode(v_threshold=0.5)

    def forward(self, x_seq: Tensor) -> Tensor:
        spikes: Tensor = self.node(self.norm(self.one(x_seq) + self.other(x_seq)))
        return spikes


def temporal(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    network: Any = Summed()
    nn.init.uniform_(network.norm.running_mean, -1, 1)
    nn.init.uniform_(network.norm.running_var, 0.3, 2)
    nn.init.uniform_(network.norm.weight, 0.5, 2)
    nn.init.uniform_(network.norm.scale, 0.5, 2)
    functional.set_step_mode(network, "m")
    return fold_batch_norm(network, torch.rand(STEPS, 6, 4))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_it_scales_and_shifts_channels(shape: tuple[int, ...]) -> None:
    scale, offset, x = uniform(3, seed=1), uniform(3, seed=2), uniform(*shape, seed=3)
    wide = (1, 3, *[1] * (len(shape) - 2))
    expected = x.numpy() * scale.numpy().reshape(wide) + offset.numpy().reshape(wide)
    np.testing.assert_allclose(ChannelAffine(scale, offset)(x).detach().numpy(), expected, rtol=1e-6)
    stepped = SteppedChannelAffine(scale, offset, step_mode="m")
    np.testing.assert_allclose(stepped(x[None])[0].detach().numpy(), expected, rtol=1e-6)
    functional.set_step_mode(stepped, "s")
    np.testing.assert_allclose(stepped(x).detach().numpy(), expected, rtol=1e-6)


def test_each_step_has_its_own_scale_in_both_modes() -> None:
    scale, offset, x_seq = uniform(STEPS, 3, seed=1), uniform(STEPS, 3, seed=2), uniform(STEPS, 2, 3, seed=3)
    expected = x_seq.numpy() * scale.numpy()[:, None] + offset.numpy()[:, None]
    affine = TemporalChannelAffine(scale, offset)
    np.testing.assert_allclose(affine(x_seq).detach().numpy(), expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"4 time steps.* has 3: .*reset_net"):
        affine(x_seq[:1])
    functional.reset_net(affine)
    functional.set_step_mode(affine, "s")
    single = torch.stack([affine(x) for x in x_seq])
    np.testing.assert_allclose(single.detach().numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [layer.TemporalEffectiveBatchNorm1d, layer.BatchNormThroughTime1d])
def test_sequences_without_a_reset_do_what_the_normalization_did(kind: type[nn.Module]) -> None:
    """TEBN starts each sequence anew, BNTT goes on with its list."""
    network = nn.Sequential(nn.ReLU(), kind(4, 3))
    for number, module in enumerate(network.modules()):
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.constant_(module.running_mean, 0.5 + number)  # type: ignore[arg-type]
    if kind is layer.TemporalEffectiveBatchNorm1d:
        nn.init.uniform_(network.get_parameter("1.scale"), 0.5, 2)
    functional.set_step_mode(network.eval(), "m")
    folded = fold_batch_norm(network, torch.rand(4, 2, 3))
    for _ in range(2):
        x_seq = torch.rand(4, 2, 3)
        for half in [x_seq] if kind is layer.TemporalEffectiveBatchNorm1d else (x_seq[:2], x_seq[2:]):
            torch.testing.assert_close(folded(half), network(half))
        if kind is layer.BatchNormThroughTime1d:
            functional.reset_net(folded)
            functional.reset_net(network)


@pytest.mark.parametrize("rounding", Rounding)
def test_fixed_point_is_that_of_integers(rounding: Rounding) -> None:
    """Codes of the input, 8 fraction bits, times those of the scale, 6, rounded once to 12 fraction bits, ties up."""
    network = nn.Sequential(ChannelAffine(uniform(3, seed=1), uniform(3, seed=2)))
    formats = {Family.WEIGHT: QFormat(1, 6), Family.BIAS: QFormat(1, 9)}
    quantized: Any = freeze_network(quantize_network(network, config_of(network, rounding, formats)))
    codes = np.random.default_rng(0).integers(-(2**15), 2**15, (50, 3))
    codes[:2] = [[2**23 - 1] * 3, [-(2**23)] * 3]
    scale = np.ldexp(quantized[0].scale.detach().double().numpy(), 6).astype(np.int64)
    offset = np.ldexp(quantized[0].offset.detach().double().numpy(), 9).astype(np.int64)
    sums = codes * scale + (offset << 5)
    expected = np.clip((sums + 2) >> 2, -(2**23), 2**23 - 1)
    output = quantized(torch.from_numpy(np.ldexp(codes.astype(np.float32), -8)))
    assert output.dtype == torch.float32
    assert np.array_equal(np.ldexp(output.detach().double().numpy(), 12).astype(np.int64), expected)
    assert (expected == 2**23 - 1).any()


def test_the_accumulator_suits_the_largest_output() -> None:
    """11 bits for it, whatever its scale; 12 more are headroom."""
    for largest, bits in ((1.0, 11), (1.5, 10), (4.0, 9), (1 / 64, 17), (3000.0, -1), (0.0, 11)):
        assert accumulator_fraction_bits(largest) == bits
        assert largest * 2**bits <= 2**11
    network = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3))
    network.get_parameter("1.weight").data.fill_(0.01)
    folded: Any = fold_batch_norm(network, torch.tensor([[0.0, 1.0, 3.0]]))
    assert folded[1].fraction_bits == 11 + 5  # 0.03 is under 1/32.


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("fraction_bits", [3, 14])
def test_quantized_normalization_through_time_is_exact(rounding: Rounding, fraction_bits: int) -> None:
    network = temporal()
    counts = {parameter.name: parameter.count for parameter in find_parameters(network)}
    assert counts["norm.scale"] == counts["norm.offset"] == STEPS * 5
    assert not any(name.endswith("step") for name in counts)
    formats = {**FORMATS, Family.WEIGHT: QFormat(1, fraction_bits), Family.BIAS: QFormat(1, fraction_bits)}
    quantized = quantize_network(network, config_of(network, rounding, formats)).eval()
    x_seq = eighths(STEPS, 2, 4)
    check_exact(freeze_network(quantized), x_seq)
    single, _ = run_single(quantized, x_seq)
    multi, _, _ = run_multi(quantized, x_seq)
    assert torch.equal(single, multi)
    for copied in (copy.deepcopy(quantized), pickle.loads(pickle.dumps(quantized))):
        assert torch.equal(run_multi(copied, x_seq)[0], multi)


def test_gradients_are_those_of_floating_point_and_vanish_where_it_saturates() -> None:
    network = nn.Sequential(ChannelAffine(torch.tensor([0.5, 1.5]), torch.tensor([0.25, -0.5])))
    formats = {Family.WEIGHT: QFormat(1, 6), Family.BIAS: QFormat(1, 6)}
    quantized: Any = quantize_network(network, config_of(network, Rounding.NEAREST, formats)).train()
    x = torch.tensor([[1.5, -0.75], [1e5, 2.0]], requires_grad=True)
    quantized(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.5, 1.5], [0.0, 1.5]]
    assert quantized[0]._parameters["scale"].grad.tolist() == [1.5, 1.25]
    assert quantized[0]._parameters["offset"].grad.tolist() == [1.0, 2.0]
