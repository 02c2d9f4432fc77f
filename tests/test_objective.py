from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import optuna
import pytest

from qspinn_optuna import (
    Deployment,
    QuantizationConfig,
    QuantizationObjective,
    QuantizationSpace,
    Rounding,
    Scheme,
    Workload,
)
from qspinn_optuna.study import Baseline, baseline_of, set_accuracy_floor
from tests.fake_workload import SEEN, FakeWorkload, fake_space


def make_study(seed: int = 0) -> optuna.Study:
    sampler = optuna.samplers.RandomSampler(seed=seed)
    return optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)


def test_the_fake_is_a_workload() -> None:
    workload: Workload = FakeWorkload()  # mypy checks the protocol
    assert workload.describe()


def test_values_are_the_footprint_and_the_last_count() -> None:
    workload, space, study = FakeWorkload(), fake_space(), make_study()
    study.optimize(QuantizationObjective(workload, space, seed=3), n_trials=5)
    for trial in study.trials:
        config = space.config(trial.params)
        *_, (correct, seen) = FakeWorkload().evaluate(config, 3)
        assert trial.values == [space.footprint(config).kib, correct / seen]
    assert {seed for _, seed in workload.evaluated} == {3}


def test_attributes_hold_configuration_footprint_counts_seed_and_seconds() -> None:
    workload, space, study = FakeWorkload(), fake_space(), make_study()
    study.optimize(QuantizationObjective(workload, space, seed=3), n_trials=1)
    attrs = study.trials[0].user_attrs
    config = QuantizationConfig.from_dict(attrs["config"])
    footprint = space.footprint(config)
    assert config == workload.evaluated[0][0]
    assert attrs["footprint"]["by_parameter"] == footprint.by_parameter
    assert sum(attrs["footprint"]["by_family"].values()) == footprint.bits
    assert attrs["footprint"]["compression"] == footprint.compression
    assert attrs["footprint"]["kib"] == footprint.kib
    assert (attrs["seen"], attrs["seed"]) == (SEEN, 3)
    assert attrs["seconds"] >= 0


def test_a_configuration_seen_before_is_not_evaluated_again() -> None:
    workload, space, study = FakeWorkload(), fake_space(), make_study()
    params = space.params(space.uniform(4, Scheme.PTQ, Rounding.NEAREST))
    for _ in range(3):
        study.enqueue_trial(params)
    study.optimize(QuantizationObjective(workload, space), n_trials=3)
    assert len(workload.evaluated) == 1
    assert [trial.user_attrs.get("duplicate_of") for trial in study.trials] == [None, 0, 0]
    assert len({tuple(trial.values) for trial in study.trials}) == 1


def test_another_seed_is_another_evaluation() -> None:
    workload, space, study = FakeWorkload(), fake_space(), make_study()
    for seed in (0, 1):
        study.enqueue_trial(space.params(space.uniform(4, Scheme.PTQ, Rounding.NEAREST)))
        study.optimize(QuantizationObjective(workload, space, seed=seed), n_trials=1)
    assert len(workload.evaluated) == 2


def test_the_floor_is_an_optuna_constraint() -> None:
    study = make_study()
    set_accuracy_floor(study, 0.8)
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space()), n_trials=30)
    feasible = [trial.values[1] >= 0.8 for trial in study.trials]
    assert 0 < sum(feasible) < len(feasible)
    assert [all(value <= 0 for value in trial.constraints.values()) for trial in study.trials] == feasible
    assert all(trial.values[1] >= 0.8 for trial in study.best_trials)


def test_without_a_floor_there_is_no_constraint() -> None:
    study = make_study()
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space()), n_trials=1)
    assert study.trials[0].constraints == {}


def test_the_same_seed_gives_the_same_trials_twice() -> None:
    def run() -> list[tuple[Any, ...]]:
        sampler = optuna.samplers.TPESampler(multivariate=True, seed=5)
        study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
        set_accuracy_floor(study, 0.8)
        study.optimize(QuantizationObjective(FakeWorkload(), fake_space(), seed=5), n_trials=25)
        return [(trial.params, trial.values) for trial in study.trials]

    assert run() == run()


def test_the_study_learns_the_accuracy_of_the_float_network() -> None:
    study = make_study()
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space()), n_trials=1)
    assert baseline_of(study) == Baseline(FakeWorkload.baseline)


@pytest.mark.parametrize("counts", [[], [(0, 0)], [(5, 4)], [(-1, 4)]])
def test_impossible_counts_are_refused(counts: list[tuple[int, int]]) -> None:
    class Broken(FakeWorkload):
        def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:  # noqa: ARG002
            yield from counts

    with pytest.raises(ValueError, match="correct <= seen"):
        make_study().optimize(QuantizationObjective(Broken(), fake_space()), n_trials=1)


def test_another_workload_does_not_take_stored_results() -> None:
    class Other(FakeWorkload):
        def describe(self) -> dict[str, Any]:
            return {"workload": "other"}

    space, study, other = fake_space(), make_study(), Other()
    for workload in (FakeWorkload(), other):
        study.enqueue_trial(space.params(space.uniform(4, Scheme.PTQ, Rounding.NEAREST)))
        study.optimize(QuantizationObjective(workload, space), n_trials=1)
    assert len(other.evaluated) == 1


def test_a_space_of_other_parameters_is_refused() -> None:
    wider = replace(FakeWorkload.parameters[0], count=2_000)
    space = QuantizationSpace([wider, FakeWorkload.parameters[1]])
    with pytest.raises(ValueError, match=r"^space\b.*'weight'"):
        QuantizationObjective(FakeWorkload(), space)


def test_a_space_for_another_deployment_is_refused() -> None:
    space = QuantizationSpace(FakeWorkload.parameters, deployment=Deployment.LEARNING)
    with pytest.raises(ValueError, match=r"^space\b.*'inference', got 'learning'"):
        QuantizationObjective(FakeWorkload(), space)


def test_a_scheme_that_the_workload_cannot_do_is_refused_before_anything_runs() -> None:
    class WithoutFineTuning(FakeWorkload):
        schemes = (Scheme.PTQ,)

    with pytest.raises(ValueError, match=r"schemes.*\['itq'\].*fine_tune"):
        QuantizationObjective(WithoutFineTuning(), fake_space())
    QuantizationObjective(WithoutFineTuning(), fake_space().restrict(schemes=[Scheme.PTQ]))
