"""Networks of supervised workloads as integer models: the accuracies of the workload, sample by sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from qspinn_optuna import QuantizationSpace
from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.integer import IntegerModel, ValueCoding, classify, encode
from qspinn_optuna.parameters import Family, Footprint
from qspinn_optuna.workloads.supervised import SupervisedWorkload
from tests.counts import counts_of
from tests.supervised.toy import STEPS, ToyNetwork, toy_batches, toy_workload

STATES = (Family.MEMBRANE, Family.TRACE, Family.INPUT)


class ToyDict(ToyNetwork):
    """Scores by a name."""

    def forward(self, spikes: Tensor) -> Any:
        return {"scores": super().forward(spikes)}


def by_name(output: Any) -> Tensor:
    scores: Tensor = output["scores"]
    return scores


def accuracy(model: IntegerModel) -> float:
    """The part of the test samples, numbered in their order, that the model gets right."""
    inputs, labels = (torch.cat(parts).numpy() for parts in zip(*toy_batches(2), strict=True))
    assert isinstance(model.coding, ValueCoding)
    found = classify(model, encode(model.coding, inputs, model.first_sample))
    return float((found == labels).mean())


@pytest.fixture(scope="module")
def workload() -> SupervisedWorkload:
    return toy_workload(network=ToyDict(), scores=by_name, fine_tune=None, train=None)


@pytest.mark.parametrize("rounding", Rounding)
def test_model_has_the_accuracy_and_the_memory_of_the_workload(
    workload: SupervisedWorkload, rounding: Rounding
) -> None:
    config = QuantizationSpace(workload.parameters, bits=(2, 8)).uniform(4, Scheme.PTQ, rounding)
    model = workload.integer_model(config, seed=3)
    assert accuracy(model) == workload.test(config, seed=3)
    footprint = Footprint.of(workload.parameters, config.bits).by_family
    state = sum(bits for family, bits in footprint.items() if family in STATES)
    assert (model.constant_bits, model.state_bits) == (sum(footprint.values()) - state, state)
    assert (model.coding.steps, model.seed, model.first_sample) == (STEPS, 3, 0)


def test_model_in_training_is_that_of_the_test() -> None:
    of = toy_workload()
    config = QuantizationSpace(of.parameters, bits=(2, 8)).uniform(3, Scheme.ITQ, Rounding.STOCHASTIC)
    assert accuracy(of.integer_model(config, seed=1)) == of.test(config, seed=1)


def test_seeds_draw_differently(workload: SupervisedWorkload) -> None:
    config = QuantizationSpace(workload.parameters, bits=(2, 8)).uniform(4, Scheme.PTQ, Rounding.STOCHASTIC)
    one, other = (workload.integer_model(config, seed=seed) for seed in (1, 2))
    assert one != other
    assert one == workload.integer_model(config, seed=1)


def test_input_format_holds_all_calibration_batches() -> None:
    batches = [(2 * inputs if number else inputs, labels) for number, (inputs, labels) in enumerate(toy_batches(0, 2))]
    of = toy_workload(fine_tune=None, train=None, calibration=batches)
    config = QuantizationSpace(of.parameters, bits=(2, 8)).uniform(4, Scheme.PTQ, Rounding.NEAREST)
    coding = of.integer_model(config).coding
    assert isinstance(coding, ValueCoding)
    fmt = coding.quantization.format
    assert (fmt.bits, fmt.fraction_bits, fmt.signed) == (8, 0, False)
    assert np.isclose(fmt.max, 255)


@pytest.mark.parametrize("rounding", Rounding)
def test_samples_are_the_first_of_the_test_as_the_model_takes_them(
    workload: SupervisedWorkload, rounding: Rounding
) -> None:
    config = QuantizationSpace(workload.parameters, bits=(2, 8)).uniform(4, Scheme.PTQ, rounding)
    model = workload.integer_model(config, seed=3)
    samples = workload.integer_samples(config, seed=3)
    inputs, labels = (torch.cat(parts).numpy() for parts in zip(*toy_batches(2), strict=True))
    assert isinstance(model.coding, ValueCoding)
    assert np.array_equal(samples.inputs, encode(model.coding, inputs, model.first_sample))
    assert np.array_equal(samples.labels, labels)
    assert (samples.split, samples.is_whole, len(samples)) == ("test", True, len(labels))
    assert (classify(model, samples.inputs) == samples.labels).mean() == workload.test(config, seed=3)
    few = workload.integer_samples(config, seed=3, count=13)
    assert np.array_equal(few.inputs, samples.inputs[:13])
    assert (len(few), few.is_whole) == (13, False)


def test_without_a_test_set_samples_are_of_the_validation() -> None:
    of = toy_workload(fine_tune=None, train=None, test=None)
    config = QuantizationSpace(of.parameters, bits=(2, 8)).uniform(4, Scheme.PTQ, Rounding.NEAREST)
    samples = of.integer_samples(config, count=10_000)
    assert (samples.split, samples.is_whole) == ("validation", True)
    counts = counts_of(of.evaluate(config, seed=0))
    right = classify(of.integer_model(config), samples.inputs) == samples.labels
    assert (int(right.sum()), len(right)) == counts[-1]


class Prepared(ToyNetwork):
    """Steps first, and an input that the host prepares."""

    def forward(self, spikes: Tensor) -> Any:
        return super().forward(((spikes - 0.5) / 0.3).transpose(0, 1))


def test_samples_are_prepared_as_the_network_does_wherever_the_batch_is() -> None:
    steps_first = [[(inputs.transpose(0, 1), labels) for inputs, labels in toy_batches(seed)] for seed in range(3)]
    of = toy_workload(
        network=Prepared(),
        fine_tune=None,
        train=None,
        calibration=steps_first[0],
        validation=steps_first[1],
        test=steps_first[2],
    )
    config = QuantizationSpace(of.parameters, bits=(2, 8)).uniform(5, Scheme.PTQ, Rounding.NEAREST)
    samples = of.integer_samples(config)
    assert (len(samples), samples.inputs.shape[1:]) == (40, (STEPS, 8))
    assert (classify(of.integer_model(config), samples.inputs) == samples.labels).mean() == of.test(config, 0)
