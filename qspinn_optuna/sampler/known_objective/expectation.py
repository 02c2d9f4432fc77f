"""What is expected of single dimensions before there are trials, and how a study begins with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
"""Share of the largest gain by which a configuration must be behind to be called worse."""

_COLLAPSED = 0.5
"""Share of the largest gain under which both configurations of a pair tell nothing."""

_PAIRS = (2, 1)
"""Places, among the configurations with which a study begins, of those beside which the expectation is put. The second
one is for studies where both configurations of the first pair have collapsed."""


def curves_of(grid: SearchGrid, losses: Mapping[str, Mapping[Any, float]]) -> Floats | None:
    """Knees and slopes of what single dimensions lose, as of :func:`curve`.

    Args:
        grid: The search space.
        losses: Share of the gain that is lost, 0 to 1, at some values of some numeric dimensions.

    Returns:
        [2, numeric dimensions], NaN for dimensions of which nothing is told; None if nothing is told of any.
    """
    names = [grid.names[column] for column in grid.numeric]
    curves = [curve(grid.on_axis(name, losses.get(name, {}))) for name in names]
    return np.array(curves).T if np.isfinite(curves).any() else None


def curve(losses: Mapping[float, float]) -> tuple[float, float]:
    """Knee and slope of a logistic curve through losses, by coordinates in units; NaN without losses.

    The knee is where half is lost, the slope that of the logarithm of the odds. It is regressed on the coordinates,
    with a normal prior on the slope. Of losses that cannot be told from all, or from none, only those next to the
    others count: farther ones are no more exact.
    """
    if not losses:
        return math.nan, math.nan
    at, told = np.array(sorted(losses.items())).T
    begin = int(np.flatnonzero(told >= _LARGEST)[-1]) if (told >= _LARGEST).any() else 0
    none = np.flatnonzero(told[begin:] <= _LEAST)
    end = begin + int(none[0]) + 1 if len(none) else len(told)
    at, clipped = at[begin:end], np.clip(told[begin:end], _LEAST, _LARGEST)
    log_odds = np.log(clipped / (1 - clipped))
    # Without the likely slope: what is left is offset - excess * coordinate.
    inputs = np.stack([np.ones(len(at)), -at])
    precision = inputs @ inputs.T / _ERROR**2 + np.diag([0, _SLOPES**-2])
    _, excess = np.linalg.solve(precision, inputs @ (log_odds + _SLOPE * at) / _ERROR**2)
    slope = float(np.clip(_SLOPE + excess, _FLATTEST, _STEEPEST))
    return max(float((log_odds + slope * at).mean()) / slope, _LOWEST), slope


@dataclass(frozen=True)
class Beginning:
    """How a study begins of which something is expected.

    Args:
        uniform: Configurations with which it begins if nothing is expected, the largest values first,
            [points, dimensions].
        matched: Configurations that cost about as much, and are expected to lose least, likewise.
    """

    uniform: Rows
    matched: Rows

    @classmethod
    def of(cls, grid: SearchGrid, curves: Floats, cost: Callable[[Rows], Floats], uniform: Rows) -> Beginning:
        """The beginning that follows from the curves of :func:`curves_of`.

        Dimensions that keep one value in ``uniform`` keep it.

        Args:
            grid: The search space.
            curves: [2, numeric dimensions].
            cost: Of rows, to be minimized.
            uniform: As in the class.
        """
        # What is not known is taken to be as the rest.
        knees, slopes = np.where(np.isnan(curves), np.nanmean(curves, axis=1, keepdims=True), curves)
        distances = grid.features(levels(grid))[0] - knees
        way = way_down(grid, np.log1p(np.exp(-slopes * distances)).T, cost, uniform[0])
        kept = (uniform == uniform[0]).all(axis=0)
        way[:, kept] = uniform[0, kept]
        return cls(uniform, way[np.abs(cost(way)[:, None] - cost(uniform)).argmin(axis=0)])

    def rows(self, observations: Observations) -> Rows:
        """The first configurations, [points, dimensions].

        The largest values, then two configurations of one cost, without and with the expectation, then others of the
        better kind.
        """
        first, second = _PAIRS
        middle = self.uniform if self.is_refuted(observations) else self.matched
        pair = [self.uniform[first], self.matched[first]]
        further = [self.uniform[second]] if self._has_collapsed(first, observations) else []
        return np.array([self.uniform[0], *pair, middle[second], *further, middle[4], self.uniform[-1]])

    def is_refuted(self, observations: Observations) -> bool:
        """Whether, of two configurations of one cost, that of the expectation is clearly worse."""
        first, second = _PAIRS
        place = second if self._has_collapsed(first, observations) else first
        without, expected = self._pair(place, observations)
        if without is None or expected is None:
            return False
        return expected < without - _WORSE * abs(float(observations.gains.max()))

    def _has_collapsed(self, place: int, observations: Observations) -> bool:
        """Whether both configurations of a pair have lost nearly all."""
        without, expected = self._pair(place, observations)
        if without is None or expected is None:
            return False
        largest = float(observations.gains.max())
        return max(without, expected) < largest - _COLLAPSED * abs(largest)

    def _pair(self, place: int, observations: Observations) -> tuple[float | None, float | None]:
        """Gains without and with the expectation, as far as they have been observed."""
        return _gain(observations, self.uniform[place]), _gain(observations, self.matched[place])


def _gain(observations: Observations, row: Rows) -> float | None:
    """The first gain of a configuration; None if it has not been observed."""
    gains = observations.gains[(observations.rows == row).all(axis=1)]
    return float(gains[0]) if len(gains) else None
