"""Fits that are the same whatever a process has fitted before."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.sampler.known_objective.milestones import Milestones

Floats = NDArray[np.float64]


class Chain:
    """A model that only knows what it was fitted to, one fit after the other."""

    made = 0

    def __init__(self) -> None:
        self.fits: list[list[float]] = []

    def fit(self, coordinates: Floats, indicators: Floats, values: Floats, weights: Floats) -> None:
        assert len(coordinates) == len(indicators) == len(weights) == len(values)
        Chain.made += 1
        self.fits.append(values.tolist())


def fit(milestones: Milestones[Chain], values: Floats) -> list[list[float]]:
    rows = np.zeros((len(values), 2))
    return milestones.fit(rows, rows, values, np.ones(len(values))).fits


def test_a_fit_follows_those_to_fewer_of_the_first_observations() -> None:
    values = np.arange(40.0)
    for size in (1, 8, 9, 40):
        fits = fit(Milestones(Chain()), values[:size])
        lengths = [len(one) for one in fits]
        assert all(one == values[: len(one)].tolist() for one in fits)
        assert lengths[-1] == size
        # As many fits at a milestone as there are new observations, eight at most.
        fits_at = {8: 8, 9: 1, 10: 1, 11: 1, 13: 2, 15: 2, 17: 2, 19: 2, 21: 2, 24: 3, 27: 3, 30: 3, 33: 3, 37: 4}
        assert Counter(lengths[:-1]) == {milestone: count for milestone, count in fits_at.items() if milestone < size}
        assert lengths == sorted(lengths)


def test_what_was_fitted_before_changes_nothing_and_saves_time() -> None:
    values = np.arange(60.0)
    growing = Milestones(Chain())
    for size in range(1, 60):
        before = Chain.made
        found = fit(growing, values[:size])
        assert Chain.made <= before + 9
        assert found == fit(Milestones(Chain()), values[:size])


def test_an_observation_that_comes_between_earlier_ones_changes_what_comes_after_it_only() -> None:
    values = np.arange(40.0)
    milestones = Milestones(Chain())
    fit(milestones, values)
    late = np.insert(values, 25, -1.0)
    before = Chain.made
    found = fit(milestones, late)
    assert Chain.made == before + 14  # at 27, 30, 33 and 37, and the last one
    assert found == fit(Milestones(Chain()), late)
    assert fit(milestones, values) == fit(Milestones(Chain()), values)
