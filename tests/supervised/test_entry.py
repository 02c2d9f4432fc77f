"""Workloads whose inputs and averages are off every grid."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import Tensor

from qspinn_optuna import Family, ParetoFront, QuantizationObjective, QuantizationSpace, Rounding, Scheme, open_study
from qspinn_optuna.cli.spaces import default_space
from qspinn_optuna.workloads.supervised import SupervisedWorkload
from tests.counts import counts_of
from tests.supervised.toy import INPUTS, ToyNetwork, toy_batches, toy_workload


def standardized(seed: int) -> list[tuple[Tensor, Tensor]]:
    return [((inputs - 0.21) / 0.37, labels) for inputs, labels in toy_batches(seed)]


@pytest.fixture(scope="module")
def workload() -> SupervisedWorkload:
    return toy_workload(calibration=standardized(0), validation=standardized(1), test=standardized(2))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("scheme", Scheme)
def test_standardized_inputs_are_a_parameter_in_both_schemes(
    scheme: Scheme, rounding: Rounding, workload: SupervisedWorkload
) -> None:
    space = QuantizationSpace(workload.parameters, (1, 8))
    assert space.widths["input"] == (1, 8)
    config = space.uniform(4, scheme, rounding)
    assert space.footprint(config).by_family[Family.INPUT] == 4 * INPUTS
    assert counts_of(workload.evaluate(config, 0))[-1][1] == 40


def test_the_command_fixes_or_searches_the_width_of_the_input(workload: SupervisedWorkload) -> None:
    space = default_space(workload, {"input": (4, 8), "weight": 3})
    assert (space.widths["input"], space.widths["weight"]) == ((4, 8), (3, 3))


def test_averages_of_three_in_forward_end_with_a_front() -> None:
    class Averaged(ToyNetwork):
        def forward(self, spikes: Tensor) -> Any:
            smooth = torch.nn.functional.avg_pool1d(spikes, 3, stride=1, padding=1)
            return super().forward(smooth)

    workload = toy_workload(network=Averaged(), fine_tune=None)
    space = QuantizationSpace(workload.parameters, (2, 8), (Scheme.PTQ,))
    study = open_study("toy", None, space, workload=workload)
    study.optimize(QuantizationObjective(workload, space), n_trials=3)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
    assert len(ParetoFront.from_study(study)) > 0


def test_normalization_in_forward_ends_with_a_front() -> None:
    class Normalized(ToyNetwork):
        def forward(self, spikes: Tensor) -> Any:
            return super().forward(spikes * 0.37 + 0.1)

    workload = toy_workload(network=Normalized())
    space = QuantizationSpace(workload.parameters, (2, 8))
    assert space.widths["hidden.input"] == (2, 8)
    study = open_study("toy", None, space, workload=workload)
    study.optimize(QuantizationObjective(workload, space), n_trials=3)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
    assert len(ParetoFront.from_study(study)) > 0


class ScaledCurrent(ToyNetwork):
    def forward(self, spikes: Tensor) -> Any:
        return self.readout(self.lif(self.hidden(spikes.transpose(0, 1)) * 0.3))


class NormalizedNeurons(ToyNetwork):
    """Neurons take the input, standardized."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = neuron.LIFNode(tau=2.0, v_threshold=0.5, step_mode="m")

    def forward(self, spikes: Tensor) -> Any:
        return self.readout(self.lif(self.hidden(self.entry((spikes.transpose(0, 1) - 0.1) / 0.3))))


@pytest.mark.parametrize(("network", "name"), [(ScaledCurrent, "lif.input"), (NormalizedNeurons, "entry.input")])
def test_no_trial_of_neurons_that_take_decimals_is_pruned(network: type[ToyNetwork], name: str) -> None:
    workload = toy_workload(network=network, calibration=standardized(0), validation=standardized(1))
    space = QuantizationSpace(workload.parameters, (2, 8))
    assert space.widths[name] == (2, 8)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(QuantizationObjective(workload, space), n_trials=12)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 12
