"""What is expected of single dimensions before there are trials, and how a study begins with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .descent import levels, way_down
from .grid import Rows, SearchGrid
from .observations import Observations

Floats = NDArray[np.float64]

_SLOPE = math.log(4)
"""Of the logarithm of the odds of a loss, for a unit of the coordinates: each bit leaves a quarter of the noise power
of rounding."""

_LEAST, _LARGEST = 1e-3, 0.99
"""Losses that are told from none, and from all."""

_WORSE = 0.05
"""Share of the gain of the largest values by which a configuration must be behind to be called worse."""

_PAIRED = 2
"""Place, among the configurations with which a study begins, of the one beside which the expectation is put."""


@dataclass(frozen=True, eq=False)
class Expectation:
    """Where in every numeric dimension half of the gain is lost, with the others at their largest values.

    Args:
        knees: In units of the coordinates, [numeric dimensions]; NaN where nothing is expected.
        uniform: With what a study begins if nothing is expected, the largest values first, [points, dimensions].
        matched: Configurations that cost as much and are expected to lose least, likewise.
    """

    knees: Floats
    uniform: Rows
    matched: Rows

    @classmethod
    def of(
        cls,
        grid: SearchGrid,
        losses: Mapping[str, Mapping[Any, float]],
        cost: Callable[[Rows], Floats],
        uniform: Rows,
    ) -> Expectation:
        """What follows from the losses of single dimensions.

        Args:
            grid: The search space.
            losses: Share of the gain that is lost, 0 to 1, at some values of some numeric dimensions.
            cost: Of rows, to be minimized.
            uniform: As in the class.
        """
        curves = [grid.on_axis(grid.names[column], losses.get(grid.names[column], {})) for column in grid.numeric]
        knees = np.array([knee(list(curve), list(curve.values())) for curve in curves])
        # What is not known is taken to be as the rest.
        assumed = np.where(np.isnan(knees), 0.0 if np.isnan(knees).all() else np.nanmean(knees), knees)
        distances = grid.units * np.linspace(0, 1, len(levels(grid)))[:, None] - assumed
        way = way_down(grid, np.log1p(np.exp(-_SLOPE * distances)).T, cost, uniform[0])
        nearest = np.abs(cost(way)[:, None] - cost(uniform)).argmin(axis=0)
        return cls(knees, uniform, way[nearest])

    def initial_design(self, observations: Observations) -> Rows:
        """Configurations with which a study begins, [points, dimensions].

        The largest values, then two configurations of one cost, without and with the expectation, then others of the
        better kind.
        """
        first = [self.uniform[0], self.uniform[_PAIRED], self.matched[_PAIRED]]
        middle = self.uniform if self.is_refuted(observations) else self.matched
        return np.array([*first, middle[1], middle[4], self.uniform[-1]])

    def is_refuted(self, observations: Observations) -> bool:
        """Whether, of the two configurations of one cost, that of the expectation is clearly worse."""
        largest, without, expected = (
            _gain(observations, row) for row in (self.uniform[0], self.uniform[_PAIRED], self.matched[_PAIRED])
        )
        if largest is None or without is None or expected is None:
            return False
        return expected < without - _WORSE * abs(largest)


def knee(coordinates: Sequence[float], losses: Sequence[float]) -> float:
    """Where half is lost, if the odds of a loss fall to a quarter in each unit; NaN without a loss.

    Each loss says where; a large one says it more exactly, so it has more weight, by its square root.

    Args:
        coordinates: In units.
        losses: 0 to 1, likewise.
    """
    if not len(losses):
        return math.nan
    clipped = np.clip(losses, _LEAST, _LARGEST)
    told = np.array(coordinates) + np.log(clipped / (1 - clipped)) / _SLOPE
    return float(np.average(told, weights=np.sqrt(clipped)))


def _gain(observations: Observations, row: Rows) -> float | None:
    """The first gain of a configuration; None if it has not been observed."""
    gains = observations.gains[(observations.rows == row).all(axis=1)]
    return float(gains[0]) if len(gains) else None
