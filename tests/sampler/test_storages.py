"""Samplers on storages as they are deployed: a part of the tests and of Optuna's suites.

All of them run there with ``pytest tests/sampler --sampler-storage sqlite``, and ``journal``, in a quarter of an hour.
"""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import BasicSamplerTestCase, RelativeSamplerTestCase

from qspinn_optuna.sampler import KnownObjectiveSampler, MemoryAwareSampler
from tests.fake_workload import fake_space
from tests.sampler.conftest import OpenStorage, use_instead_of_memory
from tests.sampler.problems import MIXED, Objective, cost, make_study, points


@pytest.fixture(params=["sqlite", "journal"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_study_in_a_file_has_the_trials_of_one_in_memory(kind: str, new_storage: OpenStorage) -> None:
    def sampler() -> BaseSampler:
        return optuna.samplers.PartialFixedSampler({"integer": 7}, KnownObjectiveSampler(MIXED, cost, seed=0))

    in_memory = make_study(sampler())
    in_a_file = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler(), storage=new_storage(kind))
    for study in (in_memory, in_a_file):
        study.enqueue_trial({"kind": "b"})
        study.optimize(Objective(MIXED), n_trials=10)
    assert points(in_a_file.trials) == points(in_memory.trials)


class TestOnFiles:
    """Threads, values that are NaN, parameters that are fixed, depend on others, or were not announced."""

    @pytest.fixture(autouse=True)
    def _on_a_file(self, kind: str, new_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch) -> None:
        use_instead_of_memory(monkeypatch, lambda: new_storage(kind))

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: MemoryAwareSampler(fake_space(), seed=0)

    test_conditional_sample_independent = BasicSamplerTestCase.test_conditional_sample_independent
    test_nan_objective_value = BasicSamplerTestCase.test_nan_objective_value
    test_partial_fixed_sampling = BasicSamplerTestCase.test_partial_fixed_sampling
    test_conditional_parameter_objective = BasicSamplerTestCase.test_conditional_parameter_objective
    test_trial_relative_params = RelativeSamplerTestCase.test_trial_relative_params
