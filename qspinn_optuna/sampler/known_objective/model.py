"""A model of an objective: saturating curves, cliffs, and residuals that neighbours share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .cliffs import Cliffs
from .residuals import ResidualProcess
from .saturating import SaturatingEnsemble
from .window import distances_to_front, window

Floats = NDArray[np.float64]

_FIRST_STEPS, _STEPS = 30, 12
"""Steps of the first fit, and of every later one."""

_FIT_COST = 1e9
"""Multiplications that a fit may take: with many points it makes fewer steps."""

_OUTLIER = 3.0
"""Multiples of its noise beyond which a member's residual is taken for an outlier."""

_BOTTOM = 0.05
"""Share of the range of the values that is its bottom, where collapsed values lie."""


class CliffModel:
    """Curves that saturate in every dimension, cliffs, and residuals that neighbours share.

    Each member of an ensemble has curves and cliffs of its own. A value is either intact: it follows the curves and the
    residuals of its neighbours; or collapsed: it lies at the bottom, beyond a cliff. Collapsed values do not affect the
    curves.

    Args:
        units: Length of every numeric dimension, [dimensions]; coordinates run from 0 to it.
        categories: Number of choices of every categorical dimension.
        increasing: Whether values are expected to grow with coordinates; otherwise both are equally likely.
        seed: Seed of all random draws.
        expected: Knees and slopes that are expected, [2, dimensions], NaN where they are not; None if none is.
    """

    def __init__(
        self, units: Floats, categories: Sequence[int], *, increasing: bool, seed: int, expected: Floats | None = None
    ) -> None:
        self._curves = SaturatingEnsemble(units, categories, increasing=increasing, seed=seed, expected=expected)
        self._cliffs = Cliffs(units, self._curves.members, seed)
        self._residuals = ResidualProcess()
        self._unexplained: tuple[Floats, Floats, Floats, Floats] | None = None
        """What residuals are fitted to when they are asked for: those of a fit that another one follows never are."""
        self._is_fitted = False

    @property
    def noise(self) -> Floats:
        """Scale of the noise of intact values that neither curves nor neighbours explain, [members, 1]."""
        noise: Floats = self._curves.noise * np.sqrt(1 - self._fitted_residuals().share)
        return noise

    def fit(self, coordinates: Floats, indicators: Floats, values: Floats, weights: Floats, costs: Floats) -> None:
        """Fit to data from where the last fit ended; of many points to a :func:`.window` around the front.

        Args:
            coordinates: [points, numeric dimensions].
            indicators: 1 for the choice made, [points, choices].
            values: To be maximized, [points], finite.
            weights: How much a point counts, 1 for one as exact as any, [points].
            costs: What is to be minimized besides, [points].
        """
        kept = window(distances_to_front(costs, values))
        coordinates, indicators, values, weights = (data[kept] for data in (coordinates, indicators, values, weights))
        bottom = _BOTTOM * (float(np.ptp(values)) or 1.0)
        log_collapsed = np.where(values <= values.min() + bottom, -np.log(bottom), -np.inf)

        def shares() -> Floats:
            log_intact = self._curves.log_density(coordinates, indicators, values)
            return self._cliffs.shares(coordinates, log_intact, log_collapsed)

        affordable = int(_FIT_COST / self._curves.step_cost(len(values)))
        steps = min(_STEPS if self._is_fitted else _FIRST_STEPS, max(affordable, 2))
        self._curves.fit(coordinates, indicators, values, weights, steps, shares(), places=kept)
        self._is_fitted = True
        log_intact = self._curves.log_density(coordinates, indicators, values)
        self._cliffs.sample(coordinates, log_intact, log_collapsed, weights)
        # A larger residual is that of an outlier, which says nothing about its neighbours.
        largest = _OUTLIER * self._curves.noise
        residuals = (values - self._curves.predict(coordinates, indicators)).clip(-largest, largest)
        self._unexplained = coordinates, indicators, shares() * residuals, weights

    def _fitted_residuals(self) -> ResidualProcess:
        if self._unexplained is not None:
            self._residuals.fit(*self._unexplained)
            self._unexplained = None
        return self._residuals

    def predict(self, coordinates: Floats, indicators: Floats) -> Floats:
        """The values that the members expect of intact points, [members, points]."""
        return self._curves.predict(coordinates, indicators) + self._fitted_residuals().predict(coordinates, indicators)

    def intact(self, coordinates: Floats) -> Floats:
        """Probability that a point is intact, by each member, [members, points]."""
        return self._cliffs.intact(coordinates)
