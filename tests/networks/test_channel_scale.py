"""Scales per output channel: their fit against a search, the layer against integers, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn
from torch.nn.utils import prune

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import GridKind, ParameterQuantization, QFormat, Rounding, quantize
from qspinn_optuna.networks import calibrate, check_exact, freeze_network, quantize_network, scale_channels
from qspinn_optuna.networks.modules.channel_scale import (
    ChannelScale,
    add_scale,
    fitted_scales,
    plan_of,
    scaled_weight_format,
)
from qspinn_optuna.parameters import Family, ParameterSpec

every_kind = pytest.mark.parametrize("kind", list(ChannelScale))
every_grid = pytest.mark.parametrize("grid", list(GridKind))


def conv_network(*, bias: bool = True) -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(
        layer.Conv2d(2, 5, 3, bias=bias),
        neuron.LIFNode(tau=2.0, decay_input=False),
        layer.Flatten(),
        layer.Linear(5 * 4 * 4, 3, bias=bias),
    )
    nn.init.normal_(network.get_parameter("0.weight"), std=0.5)
    functional.set_step_mode(network, "m")
    return network


def spikes(seed: int = 0) -> Tensor:
    return (torch.rand(4, 6, 2, 6, 6, generator=torch.Generator().manual_seed(seed)) > 0.6).float()


def config_of(
    specs: tuple[ParameterSpec, ...], bits: int, rounding: Rounding = Rounding.NEAREST, grid: GridKind | None = None
) -> QuantizationConfig:
    """Weights of a width, all else of eight bits."""
    parameters = {}
    for spec in specs:
        own, wanted = (bits, grid) if spec.family is Family.WEIGHT else (8, None)
        parameters[spec.name] = ParameterQuantization(spec.format(min(own, spec.max_bits), wanted), rounding)
    return QuantizationConfig(Scheme.ITQ, parameters)


def error_of(row: np.ndarray[Any, Any], scale: float, fmt: QFormat) -> float:
    """Squared error of a channel, by the nearest of all grid values."""
    grid = np.arange(fmt.min_code, fmt.max_code + 1, fmt.stride) * fmt.unit * scale
    return float(np.square(row[:, None] - grid).min(1).sum())


def channels_of(sizes: list[float]) -> Tensor:
    """Weights of 40 inputs, of channels of some sizes."""
    return torch.randn(len(sizes), 40, generator=torch.Generator().manual_seed(1)) * torch.tensor(sizes)[:, None]


@every_grid
@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_scales_have_the_least_squared_error(bits: int, grid: GridKind) -> None:
    fmt = scaled_weight_format(bits, grid)
    weight = (
        torch.randn(6, 40, generator=torch.Generator().manual_seed(1)) * torch.tensor([0.01, 0.1, 1, 3, 9, 0])[:, None]
    )
    found = fitted_scales(weight, fmt).tolist()
    for row, scale in zip(weight.double().numpy(), found, strict=True):
        largest = np.abs(row).max() / max(fmt.max, -fmt.min)
        searched = min(error_of(row, s, fmt) for s in np.linspace(0, 2 * largest, 800))
        assert error_of(row, scale, fmt) <= 1.02 * searched
    assert found[-1] == 0
    if bits == 1 and grid is GridKind.MID_RISE:
        np.testing.assert_allclose(found, 2 * weight.double().abs().mean(1))


@every_grid
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_powers_of_two_have_the_least_squared_error_of_all(bits: int, grid: GridKind) -> None:
    fmt = scaled_weight_format(bits, grid)
    weight = (
        torch.randn(5, 40, generator=torch.Generator().manual_seed(1)) * torch.tensor([0.01, 0.1, 1, 3, 9])[:, None]
    )
    found = fitted_scales(weight, fmt, ChannelScale.POWER_OF_TWO).tolist()
    for row, scale in zip(weight.double().numpy(), found, strict=True):
        least = min(error_of(row, s, fmt) for s in [0.0, *2.0 ** np.arange(-20, 8)])
        assert error_of(row, scale, fmt) == pytest.approx(least)


@every_kind
@pytest.mark.parametrize("rounding", Rounding)
def test_a_layer_computes_as_integers_do(kind: ChannelScale, rounding: Rounding) -> None:
    network = nn.Sequential(nn.Linear(7, 3))
    nn.init.normal_(network.get_parameter("0.weight"), generator=torch.Generator().manual_seed(0))
    x = torch.randint(-4, 5, (50, 7), generator=torch.Generator().manual_seed(1)).float()
    scaled = scale_channels(network, x, kind)
    name = f"0.{kind.parameter}"
    formats = {
        "0.weight": QFormat(0, 2, grid=GridKind.MID_RISE),
        "0.bias": QFormat(0, 5),
        name: QFormat(1, 6, signed=False) if kind is ChannelScale.FACTOR else QFormat(3, 0),
    }
    parameters = {name: ParameterQuantization(fmt, rounding) for name, fmt in formats.items()}
    quantized: Any = freeze_network(quantize_network(scaled, QuantizationConfig(Scheme.PTQ, parameters)))
    codes = {
        name: np.ldexp(quantized.get_parameter(name).detach().double().numpy(), fmt.fraction_bits).astype(np.int64)
        for name, fmt in formats.items()
    }
    assert set(np.unique(codes["0.weight"]).tolist()) <= {-3, -1, 1, 3}
    sums = x.numpy().astype(np.int64) @ codes["0.weight"].T
    plan = plan_of(scaled.get_submodule("0"))
    assert plan is not None
    if kind is ChannelScale.FACTOR:
        exact = (sums * codes[name] << 30 - 2 - 6) + (codes["0.bias"] << 30 - 5)
    else:
        exact = (sums << 30 - 2 + codes[name]) + (codes["0.bias"] << 30 - 5)
    drop = 30 - plan.fraction_bits
    expected = np.clip(exact + (1 << drop - 1) >> drop, -(2**23), 2**23 - 1)
    output = np.ldexp(quantized(x).detach().double().numpy(), plan.fraction_bits)
    np.testing.assert_array_equal(output, expected)


@every_kind
@every_grid
@pytest.mark.parametrize("bias", [True, False])
def test_wide_weights_give_the_float_network_and_all_of_it_is_counted(
    kind: ChannelScale, grid: GridKind, bias: bool
) -> None:
    network = conv_network(bias=bias)
    specs = calibrate(scale_channels(network, spikes(), kind), [spikes()], weight_grids=(grid,))
    counts = {spec.name: (spec.family, spec.count) for spec in specs}
    assert counts[f"0.{kind.parameter}"] == (Family.SCALE, 5)
    assert counts[f"3.{kind.parameter}"] == (Family.SCALE, 3)
    assert counts["0.weight"] == (Family.WEIGHT, 90)
    scaled = scale_channels(network, spikes(), kind)
    functional.reset_net(network)
    reference = network(spikes()).detach()
    errors = []
    for bits in (1, 3, 8):
        quantized = freeze_network(quantize_network(scaled, config_of(specs, bits))).eval()
        check_exact(quantized, spikes())
        functional.reset_net(quantized)
        errors.append(float((quantized(spikes()).detach() - reference).abs().mean() / reference.abs().mean()))
    assert errors[2] < 0.25 < errors[0]
    functional.reset_net(scaled)
    torch.testing.assert_close(scaled(spikes()), reference)


@every_kind
def test_scales_are_trained_straight_through_and_kept(kind: ChannelScale) -> None:
    scaled = scale_channels(conv_network(), spikes(), kind)
    specs = calibrate(scaled, [spikes()], weight_grids=(GridKind.MID_RISE,))
    config = config_of(specs, 1)
    quantized = quantize_network(scaled, config)
    before = {name: value.detach().clone() for name, value in quantized.named_parameters()}
    optimizer = torch.optim.SGD(quantized.parameters(), 0.05)
    quantized(spikes()).square().sum().backward()
    optimizer.step()
    changed = {name for name, value in quantized.named_parameters() if not torch.equal(value, before[name])}
    assert {f"0.{kind.parameter}", f"3.{kind.parameter}", "3.weight", "3.bias"} <= changed
    frozen = freeze_network(quantized).eval()
    again = quantize_network(scaled, config)
    again.load_state_dict(frozen.state_dict())
    for other in (freeze_network(again), copy.deepcopy(frozen)):
        functional.reset_net(frozen)
        assert torch.equal(other.eval()(spikes(1)), frozen(spikes(1)))
    weight = frozen.get_parameter("3.weight").detach()
    assert set(weight.flatten().tolist()) == {-0.5, 0.5}


@every_kind
def test_frozen_networks_are_exported_by_torch(kind: ChannelScale) -> None:
    scaled = scale_channels(nn.Sequential(nn.Linear(4, 3), nn.Flatten()), torch.ones(2, 4), kind)
    specs = calibrate(scaled, [torch.ones(2, 4)], weight_grids=(GridKind.MID_RISE,))
    frozen = freeze_network(quantize_network(scaled, config_of(specs, 1))).eval()
    x = torch.arange(8.0).view(2, 4)
    with torch.no_grad():
        program = torch.export.export(frozen, (x,))
        assert torch.equal(program.module()(x), frozen(x))


def test_the_gradient_of_a_scale_is_that_of_the_product() -> None:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).mul_(8).round_()
    scaled = scale_channels(nn.Sequential(nn.Linear(4, 2, bias=False)), x)
    config = config_of(calibrate(scaled, [x], weight_grids=(GridKind.MID_RISE,)), 1)
    quantized: Any = quantize_network(scaled, config)
    quantized(x).sum().backward()
    signs = quantize(quantized[0]._parameters["weight"].detach(), config["0.weight"].format, Rounding.NEAREST)
    torch.testing.assert_close(quantized[0]._parameters["scale"].grad, (x @ signs.T).sum(0))
    inside = quantized[0]._parameters["weight"].detach().abs() <= 0.5
    expected = torch.where(inside, quantized[0].scale.detach()[:, None] * x.sum(0), 0.0)
    torch.testing.assert_close(quantized[0]._parameters["weight"].grad, expected)


def test_channels_of_zeros_have_a_scale_of_zero() -> None:
    network = conv_network(bias=False)
    with torch.no_grad():
        network.get_parameter("3.weight")[1] = 0
    scaled = scale_channels(network, spikes())
    specs = calibrate(scaled, [spikes()], weight_grids=(GridKind.MID_RISE,))
    quantized = freeze_network(quantize_network(scaled, config_of(specs, 1))).eval()
    output = quantized(spikes())
    assert not output[..., 1].any()
    assert output[..., 0].any()


def test_channels_of_zeros_are_refused_where_nothing_has_a_zero() -> None:
    module = scale_channels(nn.Sequential(nn.Linear(3, 2)), torch.ones(1, 3), ChannelScale.POWER_OF_TWO).get_submodule(
        "0"
    )
    with torch.no_grad():
        module.get_parameter("weight")[1] = 0
    with pytest.raises(ValueError, match="weight has 1 channels of zeros"):
        add_scale("lin", module, QFormat(0, 1, grid=GridKind.MID_RISE))


@pytest.mark.parametrize(("name", "reason"), [("1.v", "membranes rest at 0"), ("0.weight", "67% of the weights are 0")])
def test_mid_rise_is_refused_where_zero_must_be_representable(name: str, reason: str) -> None:
    network = conv_network(bias=False)
    with torch.no_grad():
        network.get_parameter("0.weight")[..., :2] = 0
    specs = calibrate(network, [spikes()])
    config = config_of(specs, 4)
    mid_rise = ParameterQuantization(QFormat(1, 4, grid=GridKind.MID_RISE), Rounding.NEAREST)
    changed = {**config.parameters, name: mid_rise}
    with pytest.raises(ValueError, match=f"{name} must have a mid-tread format.*{reason}"):
        quantize_network(network, QuantizationConfig(Scheme.PTQ, changed))


def test_mid_rise_is_refused_for_pruned_weights() -> None:
    network = conv_network()
    prune.random_unstructured(network.get_submodule("3"), "weight", 0.1)  # type: ignore[no-untyped-call]
    with pytest.raises(ValueError, match="pruned weights stay 0"):
        calibrate(network, [spikes()], weight_grids=(GridKind.MID_RISE,))


def test_layers_that_share_weights_have_no_scales_of_their_own() -> None:
    first, second, third = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
    second.weight = first.weight
    scaled = scale_channels(nn.Sequential(first, second, third), torch.ones(2, 4))
    assert [plan_of(module) is not None for module in scaled.children()] == [False, False, True]


def test_a_network_without_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="network must have a linear layer"):
        scale_channels(nn.Sequential(neuron.IFNode()), torch.ones(1, 3))
