"""Ways down against all combinations of levels, and what is done in many dimensions."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from qspinn_optuna.sampler import KnownObjectiveSampler
from qspinn_optuna.sampler.known_objective import sampler as sampler_module
from qspinn_optuna.sampler.known_objective.descent import descent, steps_down
from qspinn_optuna.sampler.known_objective.grid import SearchGrid
from qspinn_optuna.sampler.known_objective.maximizer import Maximizer
from qspinn_optuna.sampler.known_objective.probes import probes
from tests.sampler.problems import INITIAL, SMALL, all_different, read, run

Floats = NDArray[np.float64]

LAYERS = 18
WIDTHS: dict[str, BaseDistribution] = {f"bits{layer}": IntDistribution(1, 16) for layer in range(LAYERS)}
SPACE = {**WIDTHS, "rounding": CategoricalDistribution(["down", "nearest"])}
GRID = SearchGrid(SPACE)
SIZES = np.array([*range(1, LAYERS + 1), 0])


def price(rows: Floats) -> Floats:
    """A step of a layer costs its size."""
    return np.asarray(rows @ SIZES, np.float64)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 1_000))
def test_every_combination_on_the_way_loses_least_of_all_that_cost_as_little(dims: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.normal(size=(dims, levels)) if seed % 2 else -np.sort(-rng.random((dims, levels)), axis=1)
    costs = rng.integers(1, 5, (dims, levels)).cumsum(axis=1).astype(float)
    every = np.array(list(itertools.product(range(levels), repeat=dims)))
    each = np.arange(dims)
    loss, cost = losses[each, every].sum(axis=1), costs[each, every].sum(axis=1)
    ways = steps_down(losses, costs)
    assert (ways[0] == levels - 1).all()
    assert (ways[-1] == 0).all()
    assert (np.diff(ways, axis=0) <= 0).all()
    # The first ways may lose more than what follows: where a lower level is better, that is gone to at once.
    hopeful = [way for way, after in itertools.pairwise(ways) if losses[each, after].sum() > losses[each, way].sum()]
    for way in [*hopeful, ways[-1]]:
        as_cheap = cost <= costs[each, way].sum() + 1e-9
        assert losses[each, way].sum() <= loss[as_cheap].min() + 1e-9


def test_levels_that_cost_the_same_are_no_steps() -> None:
    assert steps_down(np.array([[3.0, 2.0, 1.0]]), np.array([[1.0, 1.0, 1.0]])).tolist() == [[2]]
    assert steps_down(np.array([[3.0, 2.0, 1.0]]), np.array([[1.0, 1.0, 2.0]])).tolist() == [[2], [1]]


def test_a_descent_gives_up_what_is_large_and_does_not_matter_first() -> None:
    """Layers of even number lose nothing; those of odd number lose with every bit."""

    def gains(rows: Floats) -> Floats:
        missing = (15 - rows[:, :LAYERS]) / 15
        return np.asarray(np.exp(-missing[:, 1::2].sum(axis=1))[None] * np.array([[0.8], [0.9]]))

    top = np.array([*[15.0] * LAYERS, 1.0])
    rows = descent(GRID, gains, price, top)
    assert rows[0].tolist() == top.tolist()
    assert (rows[:, -1] == 1).all()
    assert (np.diff(price(rows)) < 0).all()
    for row in rows[:9]:
        assert (row[1:LAYERS:2] == 15).all()
    assert (rows[9, 0:LAYERS:2] == 0).all()
    # Of what loses the same, the most expensive goes first.
    narrowed = [int(np.argmax(before != after)) for before, after in itertools.pairwise(rows[9:])]
    assert list(dict.fromkeys(narrowed)) == list(range(LAYERS - 1, 0, -2))


def test_losses_are_the_mean_over_the_members() -> None:
    """One of two members expects the first layer to lose nearly all, the second 30 %; both expect 20 % of the third."""
    grid = SearchGrid({name: IntDistribution(1, 2) for name in ("unsure", "less unsure", "sure")})

    def gains(rows: Floats) -> Floats:
        narrow = 1 - rows
        both = 0.8 ** narrow[:, 2]
        return np.stack([both, both * 0.01 ** narrow[:, 0] * 0.7 ** narrow[:, 1]])

    rows = descent(grid, gains, lambda rows: np.asarray(rows.sum(axis=1)), np.ones(3))
    assert rows.tolist() == [[1, 1, 1], [1, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_a_descent_of_a_study_has_the_choices_of_its_front() -> None:
    study = run(SMALL, INITIAL, 0)
    sampler = study.sampler
    assert isinstance(sampler, KnownObjectiveSampler)
    observed = read(study, sampler)
    sampler._surrogate.fit(observed)
    chosen = {tuple(row[3:]) for row in observed.front.rows}
    maximizer = Maximizer(sampler._grid, {}, np.random.default_rng(0))
    ways = [maximizer.descent(observed, sampler._surrogate, sampler._known) for _ in range(20)]
    assert {tuple(row[3:]) for rows in ways for row in rows} == chosen
    nobody = replace(observed, feasible=np.zeros(len(observed.rows), bool))
    assert len(maximizer.descent(nobody, sampler._surrogate, sampler._known)) == 0


def test_a_probe_narrows_one_dimension_and_the_most_expensive_comes_first() -> None:
    top = np.array([*[15.0] * LAYERS, 1.0])
    rows = probes(GRID, price, top)
    assert [np.flatnonzero(row != top).tolist() for row in rows] == [[layer] for layer in range(LAYERS - 1, -1, -1)]
    assert {row[row != top].item() for row in rows} == {1.0}


def test_in_many_dimensions_every_second_trial_is_a_probe_later_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler_module, "_MANY", LAYERS)
    sampler = KnownObjectiveSampler(SPACE, lambda params: sum(params[name] for name in WIDTHS), seed=0)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        widths = [trial.suggest_int(name, 1, 16) for name in WIDTHS]
        trial.suggest_categorical("rounding", ["down", "nearest"])
        return sum(widths), float(np.prod([1 - 2.0 ** -(width + 3) for width in widths]))

    study.optimize(objective, n_trials=44)
    narrowed = [[name for name in WIDTHS if trial.params[name] < 16] for trial in study.trials]
    probed = [place for place, names in enumerate(narrowed) if len(names) == 1 and place >= 6]
    assert probed == list(range(24, 44, 2))
    assert len({names[0] for names in (narrowed[place] for place in probed)}) == len(probed)
    assert {study.trials[place].params[narrowed[place][0]] for place in probed} == {2}
    assert all_different(study.trials)
