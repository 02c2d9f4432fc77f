"""Candidates for the next trial, and the search for those with the largest acquisition values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .acquisition import Acquisition, Cost
from .descent import descent
from .grid import Rows, SearchGrid
from .observations import Observations
from .surrogate import Surrogate

Floats = NDArray[np.float64]

_ENUMERATED = 4_096
"""Points up to which all of a space are candidates."""

_DRAWN = 1_000
"""Candidates drawn from the whole space, and as many from around the front."""

_DESCENT = 40
"""Candidates from the way down from the largest values."""

_CLIMBS, _CLIMBED, _MUTANTS = 3, 20, 25
"""How often the best candidates are mutated, how many of them, and how many mutants of each."""


@dataclass(frozen=True)
class Maximizer:
    """Proposes candidates for one trial.

    Args:
        grid: The search space.
        fixed: Values that all candidates have.
        rng: Source of all random draws.
    """

    grid: SearchGrid
    fixed: Mapping[str, Any]
    rng: np.random.Generator

    def draw(self) -> Rows:
        """Candidates drawn from the whole space, [candidates, dimensions]."""
        return self._hold(self.grid.draw(_DRAWN, self.rng))

    def candidates(self, observations: Observations) -> Rows:
        """All points of a small space; of a large one drawn points and mutants of the front, [candidates, dimensions].

        Without a front the mutants are those of all observations.
        """
        if self._is_enumerated:
            return self._hold(self.grid.everything())
        front = observations.front.rows
        around = front if len(front) > 0 else observations.rows
        near = self.grid.mutate(np.repeat(around, math.ceil(_DRAWN / len(around)), axis=0), self.rng)
        return self._hold(np.concatenate([self.grid.draw(_DRAWN, self.rng), near]))

    def descent(self, observations: Observations, surrogate: Surrogate, cost: Cost) -> Rows:
        """Points on the way down from the largest values, with the choices of a point of the front; without one none.

        In many dimensions, mutants of the front differ from it in too few of them.
        """
        front = observations.front.rows
        if len(front) == 0:
            return front
        top = self.grid.spread(1.0, 0)
        choices = np.setdiff1d(np.arange(len(top)), self.grid.numeric)
        top[choices] = front[self.rng.integers(len(front)), choices]
        least = float(observations.gains.min())
        points = descent(self.grid, lambda rows: surrogate.gain(rows) - least, cost, top)
        return self._hold(points[np.linspace(0, len(points) - 1, _DESCENT).astype(int)])

    def climb(self, candidates: Rows, acquisition: Acquisition) -> tuple[Rows, Floats]:
        """Add mutants of the best candidates, several times.

        Returns:
            All candidates, [candidates, dimensions], and their acquisition values, [candidates].
        """
        values = acquisition(candidates)
        for _ in range(0 if self._is_enumerated else _CLIMBS):
            best = candidates[np.argsort(-values)[:_CLIMBED]]
            mutants = self._hold(self.grid.mutate(np.repeat(best, _MUTANTS, axis=0), self.rng))
            candidates = np.concatenate([candidates, mutants])
            values = np.concatenate([values, acquisition(mutants)])
        return candidates, values

    def best_first(self, candidates: Rows, values: Floats) -> Rows:
        """The candidates by descending value.

        Ties are broken at random: where all values are 0, no direction is better than another.
        """
        return candidates[np.lexsort((self.rng.random(len(values)), -values))]

    def neighbours(self, observations: Observations, cost: Cost, reference_cost: float) -> Rows:
        """Neighbours of the points of the front that cost no more than these, [candidates, dimensions].

        What costs more is left to the model, which expects the gains of larger parameters.
        """
        front = observations.front
        if len(front.rows) == 0:
            return front.rows
        nearby = [self.grid.neighbours(row) for row in front.rows]
        near, limits = np.concatenate(nearby), np.repeat(front.costs, [len(points) for points in nearby])
        costs = cost(near)
        return self._hold(near[(costs < reference_cost) & (costs <= np.minimum(limits, observations.largest_cost))])

    @property
    def _is_enumerated(self) -> bool:
        return self.grid.cardinality <= _ENUMERATED

    def _hold(self, rows: Rows) -> Rows:
        return self.grid.hold(rows, self.fixed)
