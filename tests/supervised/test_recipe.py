"""Recipes of quantized training: what each setting does, alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qspinn_optuna import QuantizationSpace
from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import GridKind, ParameterQuantization, QFormat, Rounding
from qspinn_optuna.networks import ChannelScale, calibrate, quantize_network, scale_channels
from qspinn_optuna.workloads.supervised import Distillation, QuantizedTraining, fit, set_teacher
from tests.supervised.toy import ToyNetwork, toy_batches, toy_workload

settings: dict[str, Any] = {"batches": toy_batches(0), "epochs": 4, "learning_rate": 0.02, "progress": False}


def one_bit(network: nn.Module, *, scaled: bool = True) -> tuple[nn.Module, QuantizationConfig]:
    """Weights of one bit, all else as wide as it goes."""
    if scaled:
        network = scale_channels(network, toy_batches(0)[0][0])
    specs = calibrate(network, toy_batches(0), weight_grids=(GridKind.MID_RISE,))
    parameters = {
        spec.name: ParameterQuantization(
            spec.format(1 if spec.name.endswith("weight") else spec.max_bits), Rounding.NEAREST
        )
        for spec in specs
    }
    config = QuantizationConfig(Scheme.ITQ, parameters)
    return quantize_network(network, config), config


def moved(network: nn.Module, quantized: QuantizedTraining | None) -> Tensor:
    """Which weights of the first layer a training changes, of those that are beyond their format."""
    before = network.get_parameter("hidden.weight").detach().clone()
    fit(network, 0, **settings, quantized=quantized)
    beyond = before.abs() > 0.5
    assert beyond.any()
    return (network.get_parameter("hidden.weight").detach() != before)[beyond]


def test_unclipped_gradients_keep_weights_alive_that_are_far_off() -> None:
    network, config = one_bit(ToyNetwork())
    assert not moved(network, QuantizedTraining(clip_gradients=True)).any()
    network, config = one_bit(ToyNetwork())
    assert moved(network, QuantizedTraining()).float().mean() > 0.9
    # Once the training is over, gradients are clipped again.
    weight = network.get_parameter("hidden.weight")
    weight.grad = None
    network(toy_batches(1)[0][0]).sum().backward()
    assert weight.grad is not None
    assert not weight.grad[weight.detach().abs() > config["hidden.weight"].format.max].any()


def test_float_networks_are_trained_as_ever() -> None:
    recipe = QuantizedTraining(narrow_rate=1.0, float_states=0.5, distillation=Distillation())
    weights = [fit(ToyNetwork(), 0, **settings, quantized=one).state_dict() for one in (None, recipe)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_weights_in_units_of_their_scale_have_rates_as_much_larger() -> None:
    network, _ = one_bit(ToyNetwork())
    named = dict(network.named_parameters())
    rates = {
        id(parameter): group["lr"]
        for group in QuantizedTraining().groups(network, 0.01)
        for parameter in group["params"]
    }
    assert set(rates) == set(map(id, named.values()))
    assert rates[id(named["hidden.scale"])] == 0.01
    scale = float(named["hidden.scale"].detach().mean())
    assert rates[id(named["hidden.weight"])] == pytest.approx(0.01 / scale)
    narrow = QuantizedTraining(narrow_rate=0.5).groups(network, 0.01)
    assert pytest.approx(0.5 / scale) in [group["lr"] for group in narrow]


def test_rates_of_their_own_are_for_narrow_weights_only() -> None:
    network, _ = one_bit(ToyNetwork(), scaled=False)
    groups = QuantizedTraining(narrow_rate=0.3, narrow_bits=1).groups(network, 0.01)
    assert [group["lr"] for group in groups] == [0.3]
    wide = toy_workload(train=None)
    config = QuantizationSpace(wide.parameters, bits=(4, 4)).uniform(4, Scheme.ITQ, Rounding.NEAREST)
    groups = QuantizedTraining(narrow_rate=0.3).groups(quantize_network(wide.network, config), 0.01)
    assert [group["lr"] for group in groups] == [0.01]


def test_states_are_float_for_a_part_of_the_epochs() -> None:
    network, _ = one_bit(ToyNetwork())
    module: Any = network.get_submodule("lif")
    before = dict(module._quantization.states)
    module._quantization.states["v"] = ParameterQuantization(QFormat(0, 1, signed=False), Rounding.NEAREST)
    seen: list[bool] = []

    def loss(net: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        scores = net(inputs).mean(0)
        seen.append(bool((module.v * 2 == (module.v * 2).round()).all()))
        return nn.functional.cross_entropy(scores, labels)

    fit(network, 0, **settings, loss=loss, quantized=QuantizedTraining(float_states=0.5))
    batches = len(settings["batches"])
    assert seen == [False] * 2 * batches + [True] * 2 * batches
    assert module._quantization.states["v"] != before["v"]


def test_distillation_is_the_divergence_of_softened_scores() -> None:
    scores, wanted = torch.tensor([[1.0, -1.0], [0.5, 2.0]]), torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    p, q = (torch.softmax(one / 3, 1) for one in (wanted, scores))
    expected = 9 * (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(Distillation(temperature=3.0).loss(scores, wanted), expected)


def test_a_distilled_network_comes_nearer_to_the_float_one() -> None:
    teacher = fit(ToyNetwork(), 0, **settings)
    inputs = toy_batches(1)[0][0]

    def distance(quantized: QuantizedTraining) -> float:
        network, _ = one_bit(teacher)
        set_teacher(network, teacher)
        fit(network, 0, **settings, quantized=quantized)
        found, wanted = (net.eval()(inputs).mean(0).detach() for net in (network, teacher))
        return float((found.softmax(1) - wanted.softmax(1)).abs().mean())

    assert distance(QuantizedTraining(distillation=Distillation(1.0, 1.0))) < distance(QuantizedTraining())


def test_distillation_without_a_float_network_is_refused_before_the_training() -> None:
    network, _ = one_bit(ToyNetwork())
    with pytest.raises(ValueError, match="distillation needs a float network"):
        fit(network, 0, **settings, quantized=QuantizedTraining(distillation=Distillation()))


def test_a_loss_beside_a_distillation_is_refused() -> None:
    network, _ = one_bit(ToyNetwork())
    set_teacher(network, ToyNetwork())
    with pytest.raises(ValueError, match="loss must not be given"):
        fit(
            network,
            0,
            **settings,
            loss=lambda net, inputs, _: net(inputs).sum(),
            quantized=QuantizedTraining(distillation=Distillation()),
        )


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (QuantizedTraining, "narrow_rate", 0.0),
        (QuantizedTraining, "narrow_bits", 0),
        (QuantizedTraining, "float_states", 1.0),
        (Distillation, "weight", 0.0),
        (Distillation, "temperature", -1.0),
    ],
)
def test_bad_settings_are_refused(kind: Any, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        kind(**{name: value})


@pytest.mark.parametrize("kind", list(ChannelScale))
def test_a_workload_with_scales_of_one_bit_weights(kind: ChannelScale) -> None:
    recipe = QuantizedTraining(distillation=Distillation())
    train = partial(fit, **settings)
    workload = toy_workload(fine_tune=partial(train, quantized=recipe), channel_scale=kind)
    specs = {spec.name: spec for spec in workload.parameters}
    assert specs["hidden.weight"].grids == (GridKind.MID_RISE,)
    assert specs[f"hidden.{kind.parameter}"].count == 12
    space = QuantizationSpace(workload.parameters, bits=(1, 4))
    config = space.config(
        {"scheme": "itq", "rounding": "nearest"}
        | {
            name: 1 if name.endswith("weight") else distribution.high  # type: ignore[attr-defined]
            for name, distribution in space.distributions.items()
            if name.startswith("bits")
        }
    )
    footprint = space.footprint(config)
    assert footprint.by_parameter["hidden.weight"] == 8 * 12
    assert footprint.by_parameter[f"hidden.{kind.parameter}"] == 4 * 12
    assert workload.test(config, seed=0) > 0.8
    model = workload.integer_model(config)
    state = sum(bits for name, bits in footprint.by_parameter.items() if name.endswith(".v"))
    assert model.constant_bits == footprint.bits - state
