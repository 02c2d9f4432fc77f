"""What constraints bound, and what they forbid."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import optuna
import pytest

from qspinn_optuna.sampler import KnownObjectiveSampler
from qspinn_optuna.sampler.known_objective.constraints import Threshold
from qspinn_optuna.sampler.known_objective.objectives import Objectives
from tests.sampler.problems import (
    INITIAL,
    SMALL,
    TWELVE,
    Objective,
    cost,
    gain,
    make_study,
    points,
    read,
    suggest,
)


def suggested_where_x_is_at_most_four(broken: float, kept: float) -> list[tuple[Any, ...]]:
    """The suggestions of a study whose constraint has one value where it is broken and another where it is kept."""

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = Objective(SMALL)(trial)
        trial.set_constraint("narrow", broken if trial.params["x"] > 4 else kept)
        return values

    study = make_study(KnownObjectiveSampler(SMALL, cost, seed=0))
    study.optimize(objective, n_trials=25)
    return points(study.trials)


@pytest.mark.parametrize(("broken", "kept"), [(1.0, -math.inf), (math.inf, -1.0), (math.inf, -math.inf)])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_an_infinite_constraint_is_one_as_large_as_any(broken: float, kept: float) -> None:
    assert suggested_where_x_is_at_most_four(broken, kept) == suggested_where_x_is_at_most_four(1.0, -1.0)


def test_a_budget_of_the_known_objective_is_kept_and_used_up() -> None:
    limit = 12.0

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = Objective(SMALL)(trial)
        trial.set_constraint("budget", values[0] - limit)
        return values

    study = make_study(KnownObjectiveSampler(SMALL, cost, seed=0))
    study.optimize(objective, n_trials=40)
    assert max(trial.values[0] for trial in study.trials[INITIAL:]) == limit


def test_a_floor_of_the_other_objective_is_aimed_at() -> None:
    floor = 0.93
    every = itertools.product(*(range(2, 9) for _ in "xyz"), "abc", "ab")
    share = np.mean([gain(dict(zip(SMALL, point, strict=True))) >= floor for point in every])

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = Objective(SMALL)(trial)
        trial.set_constraint("floor", floor - values[1])
        return values

    study = make_study(KnownObjectiveSampler(SMALL, cost, seed=0))
    study.optimize(objective, n_trials=40)
    feasible = [trial.values[1] >= floor for trial in study.trials[20:]]
    assert share < 0.2
    assert np.mean(feasible) > 0.4


def test_infeasible_trials_are_not_on_the_front_and_a_constant_objective_bounds_nothing() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        params = suggest(trial, TWELVE)
        trial.set_constraint("kind", 1.0 if params["kind"] == "a" else -1.0)
        trial.set_constraint("constant", -0.5)
        return cost(params), 0.5

    sampler = KnownObjectiveSampler(TWELVE, cost, seed=0)
    study = make_study(sampler)
    study.optimize(objective, n_trials=6)
    data = read(study, sampler)
    feasible = [trial.params["kind"] != "a" for trial in study.trials[:6]]
    assert not all(feasible)
    assert data.feasible.tolist() == feasible
    rows, values = data.constraints["kind"]
    assert (values <= 0).tolist() == feasible
    assert rows.tolist() == data.rows.tolist()
    # What is constant says where nothing is wrong, and is no bound either.
    assert set(data.constraints) == {"kind", "constant"}
    assert (data.required_gain, data.largest_cost) == (-math.inf, math.inf)


def test_other_constraints_are_heeded() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = Objective(SMALL)(trial)
        trial.set_constraint("wide enough", 5.0 - trial.params["x"])
        trial.set_constraint("kind", 1.0 if trial.params["kind"] == "c" else -1.0)
        return values

    study = make_study(KnownObjectiveSampler(SMALL, cost, seed=0))
    study.optimize(objective, n_trials=50)
    feasible = [all(value <= 0 for value in trial.constraints.values()) for trial in study.trials[20:]]
    # The bare improvement prefers small points, of which few are feasible: 13 % of its suggestions were.
    assert np.mean(feasible) > 0.25


class WithThreshold(KnownObjectiveSampler):
    """A sampler that is told what its study requires."""

    required: float | None = None

    def _threshold(self, study: optuna.Study) -> Threshold | None:
        del study
        return None if self.required is None else Threshold(self.required, frozenset({"floor", "0"}))


def states_floor(trial: optuna.Trial, floor: float) -> tuple[float, float]:
    """An objective that states a floor of its gain in Optuna's newer and older way, and something else besides."""
    values = Objective(SMALL)(trial)
    trial.set_constraint("floor", floor - values[1])
    trial.storage.set_trial_system_attr(trial._trial_id, "constraints", [floor - values[1]])
    trial.set_constraint("narrow", trial.params["x"] - 7.5)
    return values


def test_a_threshold_replaces_the_constraints_that_state_it_even_if_they_stated_another_one() -> None:
    sampler = WithThreshold(SMALL, cost, seed=0)
    study = make_study(sampler)
    study.optimize(lambda trial: states_floor(trial, 0.6 if trial.number < 6 else 0.9), n_trials=12)
    # Differences that are not constant are no bound.
    assert set(read(study, sampler).constraints) == {"floor", "0", "narrow"}
    gains = [trial.values[1] for trial in study.trials[:12]]
    narrow = [trial.params["x"] <= 7 for trial in study.trials[:12]]
    for threshold in (0.6, 0.9):
        observations = read(study, sampler, Threshold(threshold, frozenset({"floor", "0"})))
        assert set(observations.constraints) == {"narrow"}
        assert observations.required_gain == threshold
        expected = [gain >= threshold and kept for gain, kept in zip(gains, narrow, strict=True)]
        assert observations.feasible.tolist() == expected
        assert 0 < sum(expected) < 12


def test_a_required_value_gives_the_suggestions_of_a_recognized_bound() -> None:
    suggested = []
    for required in (None, 0.93):
        sampler = WithThreshold(SMALL, cost, seed=0)
        sampler.required = required
        study = make_study(sampler)
        study.optimize(lambda trial: states_floor(trial, 0.93), n_trials=25)
        suggested.append(points(study.trials))
    assert suggested[0] == suggested[1]


def test_a_required_value_needs_no_constraint() -> None:
    sampler = WithThreshold(SMALL, cost, seed=0)
    sampler.required = 0.93
    study = make_study(sampler)
    study.optimize(Objective(SMALL), n_trials=40)
    assert np.mean([trial.values[1] >= 0.93 for trial in study.trials[20:]]) > 0.4


def test_a_minimized_objective_must_be_at_most_the_threshold() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        cost_, gain_ = Objective(SMALL)(trial)
        return 1 - gain_, cost_

    sampler = KnownObjectiveSampler(SMALL, cost, index=1, seed=0)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    study.optimize(objective, n_trials=10)
    current = study._storage.get_trial(study.ask()._trial_id)
    observations = sampler._history.read(study, current, Objectives.of(study, 1), threshold=Threshold(0.2))
    assert observations.required_gain == -0.2
    feasible = [trial.values[0] <= 0.2 for trial in study.trials[:10]]
    assert observations.feasible.tolist() == feasible
    assert 0 < sum(feasible) < 10
    assert observations.costs.tolist() == [trial.values[1] for trial in study.trials[:10]]
