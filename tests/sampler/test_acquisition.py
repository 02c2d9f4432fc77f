"""The acquisition function against hypervolumes that are computed one by one, and what it is maximized over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from qspinn_optuna.sampler import KnownObjectiveSampler
from qspinn_optuna.sampler.known_objective.acquisition import Acquisition
from qspinn_optuna.sampler.known_objective.grid import SearchGrid
from qspinn_optuna.sampler.known_objective.improvement import hypervolume
from qspinn_optuna.sampler.known_objective.maximizer import Maximizer
from qspinn_optuna.sampler.known_objective.observations import Observations
from qspinn_optuna.sampler.known_objective.surrogate import Surrogate
from tests.sampler.problems import INITIAL, MIXED, SMALL, Space, cost, read, run

Floats = NDArray[np.float64]

GAINS = np.array([[0.2, 0.9, 1.0, 0.6], [0.5, 0.3, 0.8, 0.7]])
INTACT = np.array([[1.0, 0.5, 0.1, 1.0], [1.0, 1.0, 0.6, 0.2]])
FEASIBILITY = np.array([1.0, 0.7, 0.4, 1.0])


class Certain(Surrogate):
    """Two members without noise; the first column of a row is its number."""

    noise = np.full((2, 1), 1e-12)

    def gain(self, rows: Floats) -> Floats:
        return np.asarray(GAINS[:, rows[:, 0].astype(int)])

    def intact(self, rows: Floats) -> Floats:
        return np.asarray(INTACT[:, rows[:, 0].astype(int)])

    def feasibility(self, rows: Floats) -> Floats:
        return np.asarray(FEASIBILITY[rows[:, 0].astype(int)])


def price(rows: Floats) -> Floats:
    """The second column of a row."""
    return np.asarray(rows[:, 1])


def observations(pending: Floats) -> Observations:
    """Three feasible trials, one of which is dominated, and one that is infeasible."""
    rows = np.array([[0.0, 2.0], [0, 5], [0, 6], [0, 1]])
    return Observations(
        rows=rows,
        costs=rows[:, 1],
        gains=np.array([0.3, 0.55, 0.5, 0.9]),
        weights=np.ones(4),
        feasible=np.array([True, True, True, False]),
        pending=pending,
        required_gain=-np.inf,
        largest_cost=np.inf,
        constraints={},
    )


ROWS = np.array([[0.0, 1.0], [1, 3], [2, 4], [3, 5.5], [1, 8]])


@pytest.mark.parametrize("pending", [np.empty((0, 2)), np.array([[1.0, 4.5], [3, 1.5]])], ids=["none", "two pending"])
@pytest.mark.parametrize(("required", "largest"), [(-np.inf, np.inf), (0.4, 4.2)])
def test_it_is_the_hypervolume_that_a_configuration_adds(pending: Floats, required: float, largest: float) -> None:
    surrogate = Certain(SearchGrid(SMALL), increasing=True, seed=0)
    study = replace(observations(pending), required_gain=required, largest_cost=largest)
    values = Acquisition(surrogate, study, price, reference_cost=7.0)(ROWS)
    reference = (7.0, max(0.3, required))
    costs, gains = np.array([2.0, 5, 6]), np.array([0.3, 0.55, 0.5])
    for number, row_cost in pending:
        members = zip(INTACT[:, int(number)], GAINS[:, int(number)], strict=True)
        # What collapses has the lowest gain.
        costs = np.append(costs, row_cost)
        gains = np.append(gains, np.mean([intact * gain + (1 - intact) * 0.3 for intact, gain in members]))
    expected = []
    for number, row_cost in ROWS:
        added = [
            hypervolume(np.append(costs, row_cost), np.append(gains, GAINS[member, int(number)]), reference)
            - hypervolume(costs, gains, reference)
            for member in range(2)
        ]
        weighted = np.mean(np.array(added) * INTACT[:, int(number)]) * FEASIBILITY[int(number)]
        expected.append(weighted if row_cost <= largest else 0.0)
    assert max(expected) > 0.1
    np.testing.assert_allclose(values, expected, atol=1e-10)


def test_a_doubt_is_a_deviation_of_a_share_of_the_observed_range() -> None:
    surrogate, study = Certain(SearchGrid(SMALL), increasing=True, seed=0), observations(np.empty((0, 2)))
    reference, costs, gains = (7.0, 0.3), np.array([2.0, 5]), np.array([0.3, 0.55])
    values = Acquisition(surrogate, study, price, reference_cost=7.0, doubt=0.5)(ROWS)
    draws = 0.5 * (0.9 - 0.3) * np.random.default_rng(0).normal(size=2_000)
    before = hypervolume(costs, gains, reference)
    for value, (number, row_cost) in zip(values, ROWS, strict=True):
        expected = 0.0
        for gain, intact in zip(GAINS[:, int(number)], INTACT[:, int(number)], strict=True):
            added = [
                hypervolume(np.append(costs, row_cost), np.append(gains, gain + draw), reference) - before
                for draw in draws
            ]
            expected += float(intact * np.mean(added)) / 2
        assert value == pytest.approx(expected * FEASIBILITY[int(number)], rel=0.05, abs=1e-12)


@pytest.mark.parametrize("rows", [0, 1, 64, 65, 200])
def test_in_blocks_it_is_what_it_is_row_by_row(rows: int) -> None:
    surrogate = Certain(SearchGrid(SMALL), increasing=True, seed=0)
    acquisition = Acquisition(surrogate, observations(np.empty((0, 2))), price, reference_cost=7.0)
    candidates = np.random.default_rng(0).integers(0, 4, (rows, 2)).astype(float)
    expected = [acquisition(candidates[[i]])[0] for i in range(rows)]
    np.testing.assert_allclose(acquisition(candidates), expected, rtol=1e-12)


def begun(space: Space) -> tuple[SearchGrid, Observations, Acquisition]:
    """A study after its first trials, and its acquisition function."""
    study = run(space, INITIAL, 0)
    sampler = study.sampler
    assert isinstance(sampler, KnownObjectiveSampler)
    observed = read(study, sampler)
    sampler._surrogate.fit(observed)
    return sampler._grid, observed, Acquisition(sampler._surrogate, observed, sampler._known, cost({"all": 300}))


@pytest.mark.parametrize("space", [SMALL, MIXED], ids=["small", "large"])
def test_candidates_have_the_fixed_values_and_are_ranked_by_their_own_values(space: Space) -> None:
    grid, observed, acquisition = begun(space)
    maximizer = Maximizer(grid, {"kind": "b"}, np.random.default_rng(0))
    first = maximizer.candidates(observed)
    candidates, values = maximizer.climb(first, acquisition)
    assert len(candidates) == (len(first) if space is SMALL else len(first) + 3 * 20 * 25)
    assert {grid.decode(row)["kind"] for row in candidates} == {"b"}
    np.testing.assert_allclose(values, acquisition(candidates), rtol=1e-9)
    ranked = acquisition(maximizer.best_first(candidates, values))
    np.testing.assert_allclose(ranked, np.sort(values)[::-1], rtol=1e-9)


def test_ties_are_broken_at_random() -> None:
    maximizer = Maximizer(SearchGrid(SMALL), {}, np.random.default_rng(0))
    rows = SearchGrid(SMALL).everything()
    first, second = (maximizer.best_first(rows, np.zeros(len(rows))) for _ in range(2))
    assert first.tolist() != second.tolist()
    assert sorted(first.tolist()) == rows.tolist()


def test_without_a_front_there_are_no_neighbours_and_mutants_are_those_of_all_observations() -> None:
    grid, observed, _ = begun(MIXED)
    observed = replace(observed, feasible=np.zeros(len(observed.rows), bool))
    maximizer = Maximizer(grid, {"kind": "b"}, np.random.default_rng(0))
    assert len(maximizer.neighbours(observed, lambda rows: rows[:, 0], 300.0)) == 0
    assert len(maximizer.candidates(observed)) >= 2_000
