"""Whole studies."""

from __future__ import annotations

import copy
import functools
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from qspinn_optuna.sampler import KnownObjectiveSampler
from qspinn_optuna.sampler.known_objective import acquisition as acquisition_module
from qspinn_optuna.sampler.known_objective import sampler as sampler_module
from qspinn_optuna.sampler.known_objective.acquisition import Acquisition
from qspinn_optuna.sampler.known_objective.grid import SearchGrid
from qspinn_optuna.sampler.known_objective.history import SUGGESTED
from qspinn_optuna.sampler.known_objective.improvement import expected_hypervolume_improvement
from qspinn_optuna.sampler.known_objective.model import CliffModel
from tests.sampler.problems import (
    INITIAL,
    MIXED,
    SMALL,
    TWELVE,
    Objective,
    Space,
    all_different,
    cost,
    gain,
    make_study,
    points,
    read,
    run,
    suggest,
    volume,
)


@pytest.mark.parametrize("space", [SMALL, MIXED], ids=["small", "large"])
def test_the_same_seed_gives_the_same_study_and_another_seed_another(space: Space) -> None:
    trials = 30 if space is SMALL else 10
    first, again, other = (points(run(space, trials, seed).trials) for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("space", [SMALL, MIXED], ids=["small", "large"])
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda sampler: pickle.loads(pickle.dumps(sampler))])
def test_a_copy_made_in_mid_study_goes_on_identically(
    space: Space, duplicate: Callable[[KnownObjectiveSampler], KnownObjectiveSampler]
) -> None:
    study = run(space, 9, 0)
    assert isinstance(study.sampler, KnownObjectiveSampler)
    twin = make_study(duplicate(study.sampler))
    twin.add_trials(study.trials)
    for each in (study, twin):
        each.optimize(Objective(space), n_trials=4)
    assert points(study.trials) == points(twin.trials)


def test_reseeding_makes_it_draw_something_else() -> None:
    studies = [run(MIXED, INITIAL, 0), run(MIXED, INITIAL, 0)]
    studies[1].sampler.reseed_rng()
    drawn = []
    for study in studies:
        study.optimize(Objective(MIXED), n_trials=4)
        drawn.append(study.ask().suggest_float("other", 0, 1))
    assert points(studies[0].trials) != points(studies[1].trials)
    assert drawn[0] != drawn[1]


def test_what_is_being_evaluated_is_taken_to_turn_out_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    fronts, study = [], run(SMALL, 10, 0)
    running = suggest(study.ask(), SMALL)

    def spy(*args: Any) -> Any:
        fronts.append(args[3])
        return expected_hypervolume_improvement(*args)

    monkeypatch.setattr(acquisition_module, "expected_hypervolume_improvement", spy)
    suggest(study.ask(), SMALL)
    for costs, gains in fronts:
        assert costs[-1] == cost(running)
        assert gains[-1] == pytest.approx(gain(running), abs=0.3)


def test_what_is_being_evaluated_beyond_a_cliff_is_taken_to_collapse(monkeypatch: pytest.MonkeyPatch) -> None:
    gains, study = [], run(SMALL, 10, 0)
    suggest(study.ask(), SMALL)

    def spy(*args: Any) -> Any:
        gains.append(args[3][1][-1])
        return expected_hypervolume_improvement(*args)

    def intact(model: CliffModel, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        del model
        return np.zeros((10, len(coordinates)))

    monkeypatch.setattr(acquisition_module, "expected_hypervolume_improvement", spy)
    monkeypatch.setattr(CliffModel, "intact", intact)
    suggest(study.ask(), SMALL)
    lowest = min(trial.values[1] for trial in study.trials[:10])
    assert gains == pytest.approx([lowest] * len(gains))


def test_mutants_of_the_best_candidates_have_larger_values_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    study, improvements = run(MIXED, 10, 0), []

    def spy(*args: Any) -> Any:
        improvements.append(expected_hypervolume_improvement(*args))
        return improvements[-1]

    monkeypatch.setattr(acquisition_module, "expected_hypervolume_improvement", spy)
    monkeypatch.setattr(acquisition_module, "_BLOCK", 1_000_000)
    study.optimize(Objective(MIXED), n_trials=1)
    means = [each.mean() for each in improvements]
    assert len(means) == 4
    assert min(means[1:]) > means[0]


@pytest.mark.parametrize("space", [SMALL, MIXED], ids=["small", "large"])
def test_it_finds_more_than_random_search(space: Space) -> None:
    ranges = [getattr(dimension, "high", 0) for dimension in space.values()]
    for seed in range(2 if space is SMALL else 1):
        random = make_study(RandomSampler(seed=seed))
        random.optimize(Objective(space), n_trials=100)
        assert volume(run(space, 25, seed).trials, sum(ranges)) > volume(random.trials, sum(ranges))


def test_every_fourth_suggestion_is_a_neighbour_of_the_front_that_costs_no_more() -> None:
    study = run(SMALL, 40, 0)
    grid = SearchGrid(SMALL)
    rows = np.array([grid.encode(trial.params) for trial in study.trials])
    values = np.array([trial.values for trial in study.trials])
    for number in range(11, 40, 4):
        front = [
            i
            for i in range(number)
            if not any(values[j, 0] <= values[i, 0] and values[j, 1] > values[i, 1] for j in range(number))
        ]
        steps = (rows[front] != rows[number]).sum(axis=1)
        assert any(steps[k] == 1 and values[number, 0] <= values[i, 0] for k, i in enumerate(front))


def test_of_the_neighbours_the_first_is_that_which_could_add_most() -> None:
    study = run(SMALL, 18, 0)
    sampler = study.sampler
    assert isinstance(sampler, KnownObjectiveSampler)
    observations = read(study, sampler)
    sampler._surrogate.fit(observations)
    everything, costs = sampler._grid.everything(), sampler._known(sampler._grid.everything())
    seen = {row.tobytes() for row in observations.rows}
    unseen = np.array([row.tobytes() not in seen for row in everything])
    near = np.zeros(len(everything), bool)
    for row, limit in zip(observations.front.rows, observations.front.costs, strict=True):
        apart = np.abs(everything - row)
        steps = np.where(np.arange(5) < 3, apart, np.minimum(apart, 1)).sum(axis=1)
        near |= (steps == 1) & (costs <= limit) & unseen
    acquisition = Acquisition(sampler._surrogate, observations, sampler._known, costs.max(), doubt=0.02)
    best = everything[near][np.argmax(acquisition(everything[near]))]
    study.optimize(Objective(SMALL), n_trials=1)
    assert study.trials[-1].params == sampler._grid.decode(best)


def test_what_has_probably_collapsed_is_not_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    def intact(model: CliffModel, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        del model
        return np.tile(np.where(coordinates[:, 0] < 3, 0.0, 1.0), (10, 1))

    monkeypatch.setattr(CliffModel, "intact", intact)
    monkeypatch.setattr(sampler_module, "_NEIGHBOUR_EVERY", 1_000)
    study = run(SMALL, INITIAL + 20, 0)
    # The first coordinate is x, of which the lowest value is 2.
    assert all(trial.params["x"] >= 5 for trial in study.trials[INITIAL:])
    monkeypatch.undo()
    assert not all(trial.params["x"] >= 5 for trial in run(SMALL, INITIAL + 20, 0).trials[INITIAL:])


def test_a_study_that_another_sampler_began_goes_on_without_a_new_beginning() -> None:
    study = make_study(TPESampler(seed=0))
    study.optimize(Objective(SMALL), n_trials=20)
    study.sampler = KnownObjectiveSampler(SMALL, cost, seed=0)
    study.optimize(Objective(SMALL), n_trials=10)
    assert len(set(points(study.trials)[20:]) - set(points(study.trials)[:20])) == 10
    uniform = [trial for trial in study.trials[20:] if len({trial.params[name] for name in "xyz"}) == 1]
    assert len(uniform) < INITIAL


def test_a_sampler_goes_from_study_to_study() -> None:
    sampler = KnownObjectiveSampler(TWELVE, cost, seed=0)
    for _ in range(2):
        study = make_study(sampler)
        study.optimize(Objective(TWELVE), n_trials=20)
        assert len(study.trials) == 12
        assert all_different(study.trials)


def test_a_study_of_the_same_name_elsewhere_is_another() -> None:
    sampler = KnownObjectiveSampler(TWELVE, cost, seed=0)
    for _ in range(2):
        study = optuna.create_study(study_name="a", directions=["minimize", "maximize"], sampler=sampler)
        study.enqueue_trial({"width": 0, "kind": "b"})
        study.optimize(Objective(TWELVE), n_trials=20)
        assert len(study.trials) == 12
        assert all_different(study.trials)
        # The next one begins otherwise.
        sampler.reseed_rng()


def test_a_study_of_one_objective_ends_a_trial_without_harm() -> None:
    study = optuna.create_study(sampler=KnownObjectiveSampler(TWELVE, cost, seed=0))
    study.optimize(lambda trial: trial.suggest_float("other", 0, 1), n_trials=15)
    assert len(study.trials) == 15


def test_the_candidates_of_a_suggestion_are_rated_against_the_same_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    references, study = [], make_study(KnownObjectiveSampler(MIXED, cost, seed=0))
    for integer in range(1, 10):
        study.enqueue_trial({"integer": integer, "logarithmic": integer})
    study.optimize(Objective(MIXED), n_trials=9)

    def spy(*args: Any) -> Any:
        references.append(args[4])
        return expected_hypervolume_improvement(*args)

    monkeypatch.setattr(acquisition_module, "expected_hypervolume_improvement", spy)
    study.optimize(Objective(MIXED), n_trials=1)
    assert len(references) > 1
    assert len(set(references)) == 1


class Troubled(Objective):
    """Only every seventh trial ends as it should, the others each in another way."""

    def __call__(self, trial: optuna.Trial) -> tuple[float, float]:
        trouble = trial.number % 7
        if trouble == 0:
            trial.suggest_int("x", 2, 8)
            raise RuntimeError("before all parameters were asked for")
        value = super().__call__(trial)
        if trouble == 1:
            raise RuntimeError("after all parameters were asked for")
        if trouble == 2:
            raise optuna.TrialPruned
        return {3: (value[0], math.nan), 4: (value[0], math.inf), 5: (value[0], -math.inf)}.get(trouble, value)


def test_failed_pruned_and_infinite_trials_are_not_repeated_and_do_no_harm() -> None:
    study = make_study(KnownObjectiveSampler(SMALL, cost, seed=0))
    study.optimize(Troubled(SMALL), n_trials=56, catch=RuntimeError)
    states = [trial.state for trial in study.trials]
    assert {state: states.count(state) for state in set(states)} == {
        TrialState.FAIL: 24,
        TrialState.PRUNED: 8,
        TrialState.COMPLETE: 24,
    }
    suggested = [tuple(trial.system_attrs[SUGGESTED].items()) for trial in study.trials]
    assert len(set(suggested)) == 56


def test_a_study_in_which_all_trials_fail_goes_on_all_the_same() -> None:
    def fail(trial: optuna.Trial) -> tuple[float, float]:
        suggest(trial, MIXED)
        raise RuntimeError

    study = make_study(KnownObjectiveSampler(MIXED, cost, seed=0))
    study.optimize(fail, n_trials=15, catch=RuntimeError)
    assert all_different(study.trials)


def test_values_of_any_size_are_modelled() -> None:
    for scale in (1e-300, 1e300):
        study = make_study(KnownObjectiveSampler(SMALL, cost, seed=0))
        study.optimize(lambda trial: (cost(p := suggest(trial, SMALL)), scale * gain(p)), n_trials=12)  # noqa: B023
        assert all_different(study.trials)


def test_trials_of_other_parameters_do_no_harm() -> None:
    study = make_study(RandomSampler(seed=0))
    study.optimize(lambda trial: (float(trial.suggest_int("x", 2, 8)), 1.0), n_trials=5)
    study.optimize(lambda trial: (trial.suggest_float("other", 0, 1), 1.0), n_trials=5)
    study.optimize(lambda trial: (float(trial.suggest_int("x", 20, 80)), 1.0), n_trials=5)
    study.sampler = KnownObjectiveSampler(SMALL, cost, seed=0)
    study.optimize(Objective(SMALL), n_trials=10)
    assert all_different(study.trials[15:])


def test_parameters_outside_of_the_search_space_are_drawn_at_random() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        params = suggest(trial, SMALL)
        return cost(params), gain(params) + 0.01 * trial.suggest_float("other", 0, 1)

    study = make_study(KnownObjectiveSampler(SMALL, cost, seed=0))
    study.optimize(objective, n_trials=10)
    assert len({trial.params["other"] for trial in study.trials}) == 10
    assert all_different(study.trials)


def test_enqueued_trials_are_run_as_they_are_and_count_as_seen() -> None:
    study = make_study(KnownObjectiveSampler(TWELVE, cost, seed=0))
    for kind in "aab":
        study.enqueue_trial({"width": 0, "kind": kind})
    study.optimize(Objective(TWELVE), n_trials=100)
    assert [trial.params for trial in study.trials[:3]] == [{"width": 0, "kind": kind} for kind in "aab"]
    assert len(study.trials) == 13
    assert all_different(study.trials[1:])


def test_all_types_of_dimensions_get_values_of_their_own() -> None:
    for trial in run(MIXED, 12, 0).trials:
        for name, dimension in MIXED.items():
            assert dimension._contains(dimension.to_internal_repr(trial.params[name]))
        assert [type(trial.params[name]) for name in MIXED] == [int, int, int, float, float, float, str]


@functools.cache
def usual(small: bool) -> list[tuple[Any, ...]]:
    return points(run(SMALL if small else MIXED, 9, 0, reference=200).trials)


@pytest.mark.parametrize("space", [SMALL, MIXED], ids=["small", "large"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=2)))
def test_directions_and_the_order_of_objectives_do_not_matter(
    space: Space, order: tuple[int, int], signs: tuple[int, int]
) -> None:
    def values(params: dict[str, Any]) -> tuple[float, float]:
        both = (signs[0] * cost(params), signs[1] * gain(params))
        return both[order[0]], both[order[1]]

    directions = ["minimize" if signs[0] > 0 else "maximize", "maximize" if signs[1] > 0 else "minimize"]
    sampler = KnownObjectiveSampler(
        space, lambda params: signs[0] * cost(params), index=order.index(0), reference=signs[0] * 200, seed=0
    )
    study = optuna.create_study(directions=[directions[i] for i in order], sampler=sampler)  # type: ignore[misc]
    study.optimize(lambda trial: values(suggest(trial, space)), n_trials=9)
    assert points(study.trials) == usual(space is SMALL)


def test_nothing_is_suggested_that_is_worse_than_the_reference_while_there_is_better() -> None:
    limit = 15.0
    study = run(SMALL, 40, 0, reference=limit)
    assert all(trial.values[0] < limit for trial in study.trials[INITIAL:])


@pytest.mark.parametrize("name", list(MIXED))
def test_a_space_of_one_dimension_is_searched(name: str) -> None:
    study = run({name: MIXED[name]}, 12, 0)
    assert all_different(study.trials)
    assert len(study.trials) == min(12, SearchGrid({name: MIXED[name]}).cardinality)


def test_dimensions_of_a_single_value_are_given_to_the_known_objective() -> None:
    space: Space = {**TWELVE, "single": optuna.distributions.IntDistribution(5, 5)}
    study = run(space, 100, 0)
    assert len(study.trials) == 12
    assert {trial.params["single"] for trial in study.trials} == {5}
