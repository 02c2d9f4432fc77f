"""What enters a model: prepared by the host, rounded where the network rounds it."""

from __future__ import annotations

import sys
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.fixed_point import QFormat, Rounding
from qspinn_optuna.integer import GraphResponses, encode, respond
from qspinn_optuna.networks import CaptureError, capture, input_codes
from qspinn_optuna.networks.capture import SampleCoder, input_format_of
from tests.networks.capture import networks
from tests.networks.capture.comparison import (
    captured,
    coding_of,
    compare,
    configured,
    frozen_copy,
    simulate,
    steps_first,
)
from tests.networks.capture.networks import CLASSES, STEPS, counts, gaussian, scaled, spikes


class Standardized(nn.Module):
    """Computes with its input in floating point before the first layer."""

    def __init__(self, *, also_raw: bool = False) -> None:
        super().__init__()
        self.also_raw = also_raw
        self.hidden, self.fire = layer.Linear(6, 7), neuron.LIFNode(v_threshold=0.25)
        self.head = layer.Linear(7, CLASSES)
        if also_raw:
            self.raw = layer.Linear(6, 7)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        currents = self.hidden((frames - 0.1307) / 0.3081)
        if self.also_raw:
            currents = currents + self.raw(frames)
        scores: Tensor = self.head(self.fire(currents))
        return scores


class Thresholds(nn.Module):
    """Compares pixels with another number at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.fire, self.head = nn.Linear(6, 7), neuron.IFNode(), nn.Linear(7, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        scores = torch.zeros(len(images), CLASSES)
        for step in range(STEPS):
            scores += self.head(self.fire(self.hidden((images > step / STEPS).float())))
        return scores


LAYER_INPUT = {"hidden.input": QFormat(2, 3)}


def test_what_the_host_prepares_is_no_part_of_the_model() -> None:
    network = scaled(Standardized(), 0)
    config = configured(network, extra=LAYER_INPUT)
    model, frozen = captured(network, config, gaussian(STEPS, 1, 6))
    assert coding_of(model).quantization == config["hidden.input"]
    for number in range(3):
        x = gaussian(STEPS, 1, 6, seed=number)
        compare(model, frozen, x, steps_first((x - 0.1307) / 0.3081), number=number)


def test_what_a_layer_makes_of_the_input_is_no_preparation() -> None:
    network = scaled(
        networks.MultiStep(
            layer.Linear(6, 7),
            layer.Linear(7, 7, bias=False),
            neuron.LIFNode(v_threshold=0.25),
            layer.Linear(7, CLASSES),
        ),
        0,
    )
    config = configured(network, extra={"1.input": QFormat(2, 2)})
    model, frozen = captured(network, config, counts(STEPS, 1, 6), input_format=QFormat(3, 0, signed=False))
    assert coding_of(model).quantization.format == QFormat(3, 0, signed=False)
    x = counts(STEPS, 1, 6, seed=1)
    compare(model, frozen, x, steps_first(x))


def test_an_input_that_is_read_in_two_ways_is_refused() -> None:
    network = scaled(Standardized(also_raw=True), 0)
    with pytest.raises(CaptureError, match="several inputs at step 0"):
        captured(network, configured(network, extra=LAYER_INPUT), counts(STEPS, 1, 6))


def test_a_comparison_of_pixels_is_left_to_the_host() -> None:
    network = scaled(Thresholds(), 0)
    model, frozen = captured(network, configured(network), spikes(1, 6))
    x = torch.rand(1, 6, generator=torch.Generator().manual_seed(1))
    events = torch.stack([(x > step / STEPS).float() for step in range(STEPS)], 1)
    assert coding_of(model).quantization.format == QFormat(1, 0, signed=False)
    compare(model, frozen, x, events.numpy())


def test_codes_of_a_sample() -> None:
    network = scaled(Standardized(), 0)
    config = configured(network, Rounding.STOCHASTIC, extra=LAYER_INPUT)
    frozen = frozen_copy(network, config)
    x = gaussian(STEPS, 1, 6, seed=4)
    model, codes = capture(frozen, config, x, first_sample=3), input_codes(frozen, config, x, number=7)
    expected = encode(coding_of(model), steps_first((x - 0.1307) / 0.3081), 7)
    np.testing.assert_array_equal(codes, expected)
    assert model.first_sample == 3
    found = respond(model, codes, 7, membranes=True)
    assert isinstance(found, GraphResponses)
    np.testing.assert_array_equal(found.spikes["fire"][0], np.concatenate(simulate(frozen, x, 7)[1]["fire"].spikes))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.0, 1.0], [1.0, 1.0]], QFormat(1, 0, signed=False)),
        ([[0.0, 3.0], [7.0, 1.0]], QFormat(8, 0, signed=False)),
        ([[0.25, 0.5], [0.75, 0.0]], QFormat(6, 2, signed=False)),
        ([[-1.0, 0.5]], QFormat(6, 1)),
        ([[300.0], [0.5]], QFormat(15, 1, signed=False)),
        ([[0.1], [0.5]], None),
        ([[30000.0], [0.25]], None),
        ([[0.0]], QFormat(1, 0, signed=False)),
    ],
)
def test_format_of_inputs_on_a_grid(values: list[list[float]], expected: QFormat | None) -> None:
    assert input_format_of(torch.tensor(each) for each in values) == expected


@pytest.mark.parametrize("rounding", [Rounding.NEAREST, Rounding.STOCHASTIC])
def test_of_many_samples_one_is_captured_and_all_have_their_own_codes(
    rounding: Rounding, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = scaled(Standardized(), 0)
    config = configured(network, rounding, extra=LAYER_INPUT)
    frozen = frozen_copy(network, config, 0)
    samples = [gaussian(STEPS, 1, 6, seed=number) for number in range(3)]
    expected = [input_codes(frozen, config, sample, number=number) for number, sample in enumerate(samples)]
    assert not np.array_equal(expected[1], expected[2])
    module = sys.modules[capture.__module__]
    captured_once = Mock(wraps=module._captured)
    monkeypatch.setattr(module, "_captured", captured_once)
    coder = SampleCoder(frozen, config)
    found = [coder.codes(sample, number) for number, sample in enumerate(samples)]
    np.testing.assert_array_equal(found, expected)
    assert captured_once.call_count == 1
