"""The trials that a study of the STDP network begins with."""

from __future__ import annotations

import pytest

from qspinn_optuna import Deployment, Rounding
from qspinn_optuna.workloads.stdp import ReadoutKind, STDPSettings
from qspinn_optuna.workloads.stdp.mnist import first_trials, mnist_settings, search_space
from tests.stdp.test_workload import SMALL, workload


@pytest.mark.parametrize("deployment", Deployment)
@pytest.mark.parametrize("rounding", Rounding)
def test_they_are_in_the_space_whatever_roundings_it_has(deployment: Deployment, rounding: Rounding) -> None:
    space = search_space(workload(SMALL, deployment=deployment)).restrict(roundings=[rounding])
    configs = [space.config(params) for params in first_trials(space)]
    assert configs
    assert {each for config in configs for each in config.roundings.values()} == {rounding}


def test_small_training_sets_and_devices_that_learn_have_settings_of_their_own() -> None:
    assert mnist_settings(4_000) == STDPSettings(epochs=3, theta_step=2.0)
    learner = mnist_settings(50_000, deployment=Deployment.LEARNING)
    assert learner == STDPSettings(final_learning_rate=0.0025, shadow=False)
    assert mnist_settings(50_000, neurons=1_600) == STDPSettings.for_neurons(1_600)
    chosen = mnist_settings(50_000, neurons=900, epochs=5, readout=ReadoutKind.CLASS_WEIGHTS)
    assert (chosen.epochs, chosen.readout, chosen.theta_step) == (5, ReadoutKind.CLASS_WEIGHTS, 1.5 * 900 / 400)
