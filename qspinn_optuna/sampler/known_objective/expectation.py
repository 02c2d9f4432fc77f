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

_SLOPE, _SLOPES, _FLATTEST, _STEEPEST = math.log(4), 1.0, 0.4, 4.0
"""Slopes of the logarithm of the odds of a loss, for a unit of the coordinates: what is likely, since each bit leaves a
quarter of the noise power of rounding, its standard deviation, and limits."""

_ERROR = 0.7
"""Standard deviation of the logarithm of a loss that is told: a factor of two."""

_LEAST, _LARGEST = 0.002, 0.99
"""Losses that are told from none, and from all."""

_LOWEST = -6.0
"""Lowest knee, in units: far below all values."""

_WORSE = 0.05
"""Share of the gain of the largest values by which a configuration must be behind to be called worse."""

_PAIRED = 2
"""Place, among the configurations with which a study begins, of the one beside which the expectation is put."""


@dataclass(frozen=True, eq=False)
class Expectation:
    """How the gain is lost in every numeric dimension, with the others at their largest values.

    Args:
        curves: Knees, where half of it is lost, and slopes there of the logarithm of the odds, in units of the
            coordinates, [2, numeric dimensions]; NaN where nothing is expected.
        uniform: With what a study begins if nothing is expected, the largest values first, [points, dimensions].
        matched: Configurations that cost as much and are expected to lose least, likewise.
    """

    curves: Floats
    uniform: Rows
    matched: Rows

    @classmethod
    def of(
        cls,
        grid: SearchGrid,
        losses: Mapping[str, Mapping[Any, float]],
        cost: Callable[[Rows], Floats],
        uniform: Rows,
        matched: Rows | None = None,
    ) -> Expectation:
        """What follows from the losses of single dimensions.

        Args:
            grid: The search space.
            losses: Share of the gain that is lost, 0 to 1, at some values of some numeric dimensions.
            cost: Of rows, to be minimized.
            uniform: As in the class.
            matched: Likewise; found here if not given.
        """
        told = [grid.on_axis(grid.names[column], losses.get(grid.names[column], {})) for column in grid.numeric]
        curves = np.array([curve(list(one), list(one.values())) for one in told]).T
        if matched is None:
            way = _way(grid, curves, cost, uniform[0])
            matched = way[np.abs(cost(way)[:, None] - cost(uniform)).argmin(axis=0)]
        return cls(curves, uniform, matched)

    def initial_design(self, observations: Observations) -> Rows:
        """Configurations with which a study begins, [points, dimensions].

        The largest values, then two configurations of one cost, without and with the expectation, then others of the
        better kind.
        """
        if self.matched is self.uniform:
            return self.uniform
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


def curve(coordinates: Sequence[float], losses: Sequence[float]) -> tuple[float, float]:
    """Knee and slope of a logistic curve through losses; NaN without losses.

    A regression of the logarithm of the odds of a loss on coordinates, with a normal prior on the slope.

    Args:
        coordinates: In units.
        losses: 0 to 1, likewise.
    """
    if not len(losses):
        return math.nan, math.nan
    at, clipped = np.array(coordinates), np.clip(losses, _LEAST, _LARGEST)
    # The odds without the likely slope; what is left is offset - excess * coordinate.
    rest = np.log(clipped / (1 - clipped)) + _SLOPE * at
    inputs = np.stack([np.ones(len(at)), -at])
    precision = inputs @ inputs.T / _ERROR**2 + np.diag([0, _SLOPES**-2])
    offset, excess = np.linalg.solve(precision, inputs @ rest / _ERROR**2)
    slope = float(np.clip(_SLOPE + excess, _FLATTEST, _STEEPEST))
    return max(float(offset) / slope, _LOWEST), slope


def _way(grid: SearchGrid, curves: Floats, cost: Callable[[Rows], Floats], top: Rows) -> Rows:
    """The way down from a point by curves, [points, dimensions]."""
    # What is not known is taken to be as the rest.
    knees, slopes = np.where(np.isnan(curves), [[_mean(curves[0], 0.0)], [_mean(curves[1], _SLOPE)]], curves)
    distances = grid.units * np.linspace(0, 1, len(levels(grid)))[:, None] - knees
    return way_down(grid, np.log1p(np.exp(-slopes * distances)).T, cost, top)


def _mean(values: Floats, otherwise: float) -> float:
    """Of those that are known."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else otherwise


def _gain(observations: Observations, row: Rows) -> float | None:
    """The first gain of a configuration; None if it has not been observed."""
    gains = observations.gains[(observations.rows == row).all(axis=1)]
    return float(gains[0]) if len(gains) else None
