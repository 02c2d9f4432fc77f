"""What constraints bound, and what they forbid."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import optuna
import pytest

from qspinn_optuna.sampler import KnownObjectiveSampler
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
    assert np.mean(feasible) > 0.6


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
