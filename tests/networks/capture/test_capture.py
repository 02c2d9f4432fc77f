"""Captured networks against torch, step by step: every spike and every membrane of several samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from qspinn_optuna.fixed_point import QFormat, Rounding
from qspinn_optuna.networks import fold_batch_norm
from tests.networks.capture import networks
from tests.networks.capture.comparison import captured, coding_of, compare, configured, graph_of, static, steps_first
from tests.networks.capture.networks import CLASSES, STEPS, counts, gaussian, scaled

FRAMES = (STEPS, 1, 2, 5, 3)


def conv_network() -> nn.Module:
    return networks.MeanOverTime(
        layer.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 1), dilation=(1, 2)),
        neuron.IFNode(),
        layer.MaxPool2d(2, stride=1, padding=1),
        layer.Conv2d(3, 3, 1, bias=False),
        neuron.LIFNode(decay_input=False, v_reset=None),
        layer.AvgPool2d((2, 1)),
        layer.Flatten(),
        layer.Linear(24, CLASSES),
    )


def conv1d_network() -> nn.Module:
    return networks.MultiStep(
        layer.Conv1d(2, 3, 3, stride=2, padding=1),
        neuron.LIFNode(tau=4.0),
        layer.MaxPool1d(2),
        layer.AdaptiveAvgPool1d(2),
        neuron.IFNode(v_threshold=0.5),
        layer.Flatten(),
        layer.Linear(6, CLASSES),
    )


def containers() -> nn.Module:
    return networks.MultiStep(
        layer.SeqToANNContainer(nn.Conv2d(2, 3, 3, padding=1), nn.Dropout(0.5), nn.Identity()),
        layer.MultiStepContainer(neuron.IFNode(v_reset=None), nn.Flatten(), nn.Linear(45, 2 * CLASSES)),
        layer.Dropout(0.5),
        neuron.LIFNode(v_threshold=0.5),
        layer.VotingLayer(2),
    )


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolutions and pools": (conv_network, FRAMES),
    "one dimension": (conv1d_network, (STEPS, 1, 2, 8)),
    "shortcuts": (networks.Residual, FRAMES),
    "containers": (containers, FRAMES),
    "dimensions in turn": (networks.Turned, FRAMES),
    "parameters of its own": (networks.OwnParameters, (STEPS, 1, 7)),
    "recurrence with zeros": (lambda: networks.HandRecurrence(zeros=True), (STEPS, 1, 7)),
    "recurrence with nothing": (lambda: networks.HandRecurrence(zeros=False), (STEPS, 1, 7)),
    "recurrent containers, single steps": (lambda: networks.recurrent_container("s"), (STEPS, 1, 7)),
    "recurrent containers, sequences": (lambda: networks.recurrent_container("m"), (STEPS, 1, 7)),
    "recurrence beside the input": (lambda: networks.recurrence_beside_the_input("m"), (STEPS, 1, 7)),
    "membranes, single steps": (lambda: networks.MembraneReadout("s"), (STEPS, 1, 7)),
    "membranes, sequences": (lambda: networks.MembraneReadout("m"), (STEPS, 1, 7)),
}


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("case", CASES)
def test_model_is_the_network(case: str, rounding: Rounding) -> None:
    make, shape = CASES[case]
    network = scaled(make(), 1)
    config = configured(network, rounding)
    model, frozen = captured(network, config, counts(*shape), seed=5, input_format=QFormat(3, 0, signed=False))
    for number in range(4):
        x = counts(*shape, seed=number + 10, high=[1, 3, 7, 7][number])
        compare(model, frozen, x, steps_first(x), number=number)


@pytest.mark.parametrize("step_mode", "sm")
@pytest.mark.parametrize(
    "kind", [neuron.SimpleIFNode, neuron.SimpleLIFNode, neuron.HalfThresholdIFNode], ids=lambda kind: kind.__name__
)
def test_twins_of_neurons(kind: Any, step_mode: str) -> None:
    arguments = {"tau": 3.0, "decay_input": False} if kind is neuron.SimpleLIFNode else {}
    layers = layer.Linear(7, 9), kind(**arguments), layer.Linear(9, CLASSES)
    network = scaled(networks.Steps(*layers, step_mode=step_mode), 1)
    model, frozen = captured(network, configured(network), counts(STEPS, 1, 7, high=1))
    for number in range(3):
        x = counts(STEPS, 1, 7, seed=number, high=1)
        compare(model, frozen, x, steps_first(x))


@pytest.mark.parametrize("before", [True, False])
def test_an_image_that_is_shown_at_every_step(before: bool) -> None:
    network = scaled(networks.DirectCoding(before=before), 3)
    config = configured(network, extra={"input": QFormat(1, 3)})
    model, frozen = captured(network, config, gaussian(1, 1, 5, 5))
    assert coding_of(model).repeated
    for number in range(3):
        x = gaussian(1, 1, 5, 5, seed=number)
        compare(model, frozen, x, static(x), number=number)


def test_average_of_three_by_a_stored_factor() -> None:
    network = scaled(
        networks.MeanOverTime(
            layer.AvgPool2d(3, stride=2, padding=1),
            neuron.LIFNode(v_threshold=0.5, decay_input=False),
            layer.Flatten(),
            layer.Linear(2 * 3 * 2, CLASSES),
        ),
        1,
    )
    config = configured(network, extra={"reciprocal.9": QFormat(0, 6, signed=False)})
    model, frozen = captured(network, config, counts(*FRAMES), input_format=QFormat(3, 0, signed=False))
    assert [constant.name for constant in graph_of(model).constants if constant.codes.bits == 6] == ["reciprocal.9"]
    for number in range(3):
        x = counts(*FRAMES, seed=number)
        compare(model, frozen, x, steps_first(x))


@pytest.mark.parametrize("rounding", Rounding)
def test_what_layers_take_is_rounded(rounding: Rounding) -> None:
    network = scaled(networks.Decimals(), 2)
    formats = {"conv.input": QFormat(1, 3), "head.input": QFormat(0, 4, signed=False)}
    config = configured(network, rounding, extra=formats)
    model, frozen = captured(network, config, counts(*FRAMES), seed=2, input_format=QFormat(3, 0, signed=False))
    for number in range(3):
        x = counts(*FRAMES, seed=number)
        compare(model, frozen, x, steps_first(x), number=number)


@pytest.mark.parametrize("step_mode", "sm")
def test_delays(step_mode: str) -> None:
    network = scaled(
        networks.Steps(
            layer.Linear(7, 9),
            neuron.IFNode(v_threshold=0.5),
            layer.Delay(2),
            layer.Linear(9, 9),
            neuron.IFNode(v_threshold=0.5),
            layer.Delay(1),
            layer.Linear(9, CLASSES),
            step_mode=step_mode,
        ),
        1,
    )
    config = configured(network, left_out=("layers.2.queue", "layers.5.queue"))
    model, frozen = captured(network, config, counts(STEPS, 1, 7, high=1))
    assert model.state_bits == 18 * 7 + (2 + 1) * 9
    for number in range(3):
        x = counts(STEPS, 1, 7, seed=number, high=1)
        compare(model, frozen, x, steps_first(x))


@pytest.mark.parametrize("way", ["slots", "rates", "potential", "counts"])
def test_scores_that_are_collected(way: str) -> None:
    network = scaled(networks.Collected(way), 1)
    model, frozen = captured(
        network, configured(network), counts(STEPS, 1, 7), input_format=QFormat(3, 0, signed=False)
    )
    for number in range(3):
        x = counts(STEPS, 1, 7, seed=number)
        compare(model, frozen, x, steps_first(x))


@pytest.mark.parametrize("what", ["input", "currents", "membranes"])
def test_what_else_is_read_a_step_later(what: str) -> None:
    network = scaled(networks.Later(what), 1)
    model, frozen = captured(
        network, configured(network), counts(STEPS, 1, 7), input_format=QFormat(3, 0, signed=False)
    )
    assert "Delay" in {type(operation).__name__ for operation in graph_of(model).operations}
    for number in range(3):
        x = counts(STEPS, 1, 7, seed=number)
        compare(model, frozen, x, steps_first(x))


def normalized(*norms: nn.Module) -> nn.Module:
    network = networks.MultiStep(
        layer.Conv2d(2, 3, 3, padding=1),
        neuron.LIFNode(v_threshold=0.5),
        layer.AvgPool2d(2),
        *norms,
        neuron.LIFNode(v_threshold=0.5),
        layer.Flatten(),
        layer.Linear(3 * 2, CLASSES),
    )
    scaled(network, 1)
    with torch.no_grad():
        for step in range(20):
            network.train()(counts(STEPS, 8, 2, 5, 3, seed=step))
            functional.reset_net(network)
    return network.eval()


@pytest.mark.parametrize(
    "norm", [lambda: layer.BatchNorm2d(3), lambda: layer.TemporalEffectiveBatchNorm2d(STEPS, 3)], ids=["BN", "TEBN"]
)
def test_normalization_that_no_layer_takes_in(norm: Callable[[], nn.Module]) -> None:
    network = fold_batch_norm(normalized(norm()), counts(STEPS, 8, 2, 5, 3))
    model, frozen = captured(network, configured(network), counts(*FRAMES), input_format=QFormat(3, 0, signed=False))
    assert "Affine" in {type(operation).__name__ for operation in graph_of(model).operations}
    for number in range(3):
        x = counts(*FRAMES, seed=number)
        compare(model, frozen, x, steps_first(x))


def test_normalization_that_is_folded() -> None:
    network = fold_batch_norm(normalized(layer.Conv2d(3, 3, 1), layer.BatchNorm2d(3)), counts(STEPS, 8, 2, 5, 3))
    model, frozen = captured(network, configured(network), counts(*FRAMES), input_format=QFormat(3, 0, signed=False))
    assert "Affine" not in {type(operation).__name__ for operation in graph_of(model).operations}
    for number in range(3):
        x = counts(*FRAMES, seed=number)
        compare(model, frozen, x, steps_first(x))


def test_thresholds_of_channels() -> None:
    thresholds = torch.tensor([0.25, 0.5, 1.0]).reshape(3, 1, 1)
    network = scaled(
        networks.MultiStep(
            layer.Conv2d(2, 3, 3, padding=1),
            networks.PerChannel(thresholds),
            networks.PerChannel(thresholds, v_reset=None, decay_input=False),
            layer.Flatten(),
            layer.Linear(3 * 15, CLASSES),
        ),
        1,
    )
    model, frozen = captured(network, configured(network), counts(*FRAMES), input_format=QFormat(3, 0, signed=False))
    for number in range(3):
        x = counts(*FRAMES, seed=number)
        compare(model, frozen, x, steps_first(x))
