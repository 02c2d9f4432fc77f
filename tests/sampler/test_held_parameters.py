"""What is enqueued, or held by a sampler around this one."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FrozenTrial

from qspinn_optuna.sampler import KnownObjectiveSampler
from qspinn_optuna.sampler.known_objective.fixed import held_params
from qspinn_optuna.sampler.known_objective.grid import SearchGrid
from tests.sampler.problems import (
    INITIAL,
    MIXED,
    SMALL,
    TWELVE,
    Objective,
    Space,
    all_different,
    cost,
    make_study,
    run,
    suggest,
    volume,
)


def test_what_waits_in_the_queue_is_not_suggested() -> None:
    study = make_study(KnownObjectiveSampler(TWELVE, cost, seed=0))
    trials = [study.ask() for _ in range(11)]
    study.enqueue_trial({"width": 0, "kind": "b"})
    params = [suggest(trial, TWELVE) for trial in trials]
    assert {"width": 0, "kind": "b"} not in params
    assert len({tuple(each.items()) for each in params}) == 11


def test_what_an_enqueued_trial_leaves_open_is_suggested() -> None:
    study = run(TWELVE, 7, 0)
    for _ in range(5):
        study.enqueue_trial({"kind": "b"})
    study.optimize(Objective(TWELVE), n_trials=5)
    assert [trial.params["kind"] for trial in study.trials[7:]] == ["b"] * 5
    # Five of them cannot be different: of four widths all are tried, then one again.
    assert {trial.params["width"] for trial in study.trials if trial.params["kind"] == "b"} == {0, 1, 2, 3}


@pytest.mark.filterwarnings("ignore:Fixed parameter")
def test_an_enqueued_value_outside_of_the_space_is_kept_and_learned_nothing_from() -> None:
    study = run(SMALL, INITIAL, 0)
    study.enqueue_trial({"x": 20})
    study.enqueue_trial({"x": 20, "y": 2, "z": 2, "kind": "a", "way": "a"})
    study.optimize(Objective(SMALL), n_trials=6)
    assert [trial.params["x"] for trial in study.trials[INITIAL:][:2]] == [20, 20]
    assert all(2 <= trial.params["x"] <= 8 for trial in study.trials[INITIAL + 2 :])
    assert all_different(study.trials)


@pytest.mark.filterwarnings("ignore:PartialFixedSampler is experimental")
def test_what_it_suggests_beside_fixed_parameters_suits_them() -> None:
    def hypervolume_beside(sampler: optuna.samplers.BaseSampler) -> float:
        fixed = {"x": 3, "kind": "b"}
        study = make_study(optuna.samplers.PartialFixedSampler(fixed, sampler))
        study.optimize(Objective(SMALL), n_trials=25)
        assert all(fixed.items() <= trial.params.items() for trial in study.trials)
        return volume(study.trials, cost({"x": 3, "y": 8, "z": 8}))

    ours = hypervolume_beside(KnownObjectiveSampler(SMALL, cost, seed=0))
    assert ours > max(hypervolume_beside(optuna.samplers.RandomSampler(seed=seed)) for seed in range(5))


class Narrowing(optuna.samplers.BaseSampler):
    """A wrapper that this sampler cannot know: it holds the kind."""

    def __init__(self, base: KnownObjectiveSampler) -> None:
        self.base = base

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> Space:
        space = self.base.infer_relative_search_space(study, trial)
        return {name: value for name, value in space.items() if name != "kind"}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        return self.base.sample_relative(study, trial, search_space)

    def sample_independent(self, *_: Any) -> str:
        return "b"


def test_it_samples_at_random_within_wrappers_that_it_does_not_know() -> None:
    study = make_study(Narrowing(KnownObjectiveSampler(TWELVE, cost, seed=0)))
    study.optimize(Objective(TWELVE), n_trials=3)
    assert {trial.params["kind"] for trial in study.trials} == {"b"}


@pytest.mark.filterwarnings("ignore:PartialFixedSampler is experimental")
def test_of_samplers_that_hold_the_same_parameter_the_outer_one_has_the_last_word() -> None:
    sampler = KnownObjectiveSampler(TWELVE, cost, seed=0)
    inner = optuna.samplers.PartialFixedSampler({"kind": "a", "width": 1}, sampler)
    outer = optuna.samplers.PartialFixedSampler({"kind": "b"}, inner)
    assert held_params(outer) == {"kind": "b", "width": 1}
    assert held_params(sampler) == {}
    study = make_study(outer)
    study.optimize(Objective(TWELVE), n_trials=1)
    assert study.trials[0].params == {"width": 1, "kind": "b"}


def test_what_is_fixed_is_kept_while_nothing_is_feasible() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = Objective(SMALL)(trial)
        trial.set_constraint("never kept", 1.0)
        return values

    study = make_study(KnownObjectiveSampler(SMALL, cost, seed=0))
    for _ in range(12):
        study.enqueue_trial({"kind": "b"})
    study.optimize(objective, n_trials=12)
    assert {trial.params["kind"] for trial in study.trials} == {"b"}
    assert all_different(study.trials)


@given(st.sampled_from(sorted(MIXED)), st.integers(0, 1_000))
@settings(deadline=None, max_examples=30)
def test_held_rows_have_the_value_and_are_otherwise_as_before(name: str, seed: int) -> None:
    grid, rng = SearchGrid(MIXED), np.random.default_rng(seed)
    rows = grid.draw(5, rng)
    value = grid.decode(grid.draw(1, rng)[0])[name]
    before = rows.copy()
    held = grid.hold(rows, {name: value, "of another space": 1})
    assert rows.tolist() == before.tolist()
    for row, free in zip(held, rows, strict=True):
        assert grid.decode(row) == {**grid.decode(free), name: pytest.approx(value)}
    assert grid.hold(rows, {name: -1e9}).tolist() == rows.tolist()
    assert grid.hold(rows[:0], {name: value}).shape == (0, len(MIXED))
