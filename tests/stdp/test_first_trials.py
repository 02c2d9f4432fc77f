"""The trials that a study of the STDP network begins with."""

from __future__ import annotations

import pytest

from qspinn_optuna import Deployment, Rounding
from qspinn_optuna.workloads.stdp.mnist import first_trials, search_space
from tests.stdp.test_workload import SMALL, workload


@pytest.mark.parametrize("deployment", Deployment)
@pytest.mark.parametrize("rounding", Rounding)
def test_they_are_in_the_space_whatever_roundings_it_has(deployment: Deployment, rounding: Rounding) -> None:
    space = search_space(workload(SMALL, deployment=deployment)).restrict(roundings=[rounding])
    configs = [space.config(params) for params in first_trials(space)]
    assert configs
    assert {each for config in configs for each in config.roundings.values()} == {rounding}
