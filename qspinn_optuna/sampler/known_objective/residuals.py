"""A Gaussian process on the residuals of a model, as far as neighbours share them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LENGTHS = (1.0, 2.0, 4.0, 8.0)
"""Length scales to choose from, in units of the coordinates."""

_SHARES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97)
"""Shares of the variance to choose from that neighbours have in common; the rest is noise."""

_CHOICE_DISTANCE = 2.0
"""Distance of two points that differ in one choice, in units of the coordinates."""

_MOST_POINTS = 100
"""Latest points by which length and share are chosen: the choice costs the cube of their number."""


class ResidualProcess:
    """A Gaussian process with a Matern 5/2 kernel, whose length and share of noise maximize the likelihood.

    All dimensions have one length, since they are in the same units. Length and share are chosen from a few values. See
    Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), algorithm 2.1.
    """

    def __init__(self) -> None:
        self.length, self.share = _LENGTHS[0], 0.0
        self._points: tuple[Floats, Floats] | None = None

    def fit(self, coordinates: Floats, indicators: Floats, residuals: Floats, weights: Floats) -> None:
        """Fit to the residuals of every member of an ensemble.

        Args:
            coordinates: [points, numeric dimensions].
            indicators: 1 for the choice made, [points, choices].
            residuals: [members, points].
            weights: How much a point counts, [points].
        """
        self._points = coordinates, indicators
        last = slice(-_MOST_POINTS, None)
        self.length, self.share = _most_likely(
            _squared_distances(self._points, self._points)[last, last],
            _standard(residuals.mean(axis=0)[last]),
            weights[last],
        )
        if self.share > 0:
            covariance = self.share * _matern(_squared_distances(self._points, self._points), self.length)
            covariance[np.diag_indices_from(covariance)] += (1 - self.share) / weights
            self._solved = np.linalg.solve(covariance, residuals.T)

    def predict(self, coordinates: Floats, indicators: Floats) -> Floats:
        """The residuals that every member expects, [members, points]; 0 where neighbours share nothing, [1, points]."""
        if self.share == 0 or self._points is None:
            return np.zeros((1, len(coordinates)))
        distances = _squared_distances((coordinates, indicators), self._points)
        expected: Floats = (self.share * _matern(distances, self.length) @ self._solved).T
        return expected


def _most_likely(distances: Floats, residuals: Floats, weights: Floats) -> tuple[float, float]:
    """The length and the share under which the residuals are most likely."""
    best, chosen = -np.inf, (_LENGTHS[0], 0.0)
    for length in _LENGTHS:
        kernel = _matern(distances, length)
        for share in _SHARES:
            covariance = share * kernel
            covariance[np.diag_indices_from(covariance)] += (1 - share) / weights
            factor = np.linalg.cholesky(covariance)
            white = np.linalg.solve(factor, residuals)
            # The scale of the variance is set to its most likely value.
            likelihood = -0.5 * len(residuals) * np.log((white**2).mean() + 1e-300) - np.log(np.diag(factor)).sum()
            if likelihood > best:
                best, chosen = likelihood, (length, share)
    return chosen


def _standard(values: Floats) -> Floats:
    """``values`` as multiples of the largest, so that their squares neither overflow nor vanish."""
    return values / (float(np.abs(values).max()) or 1.0)


def _squared_distances(here: tuple[Floats, Floats], there: tuple[Floats, Floats]) -> Floats:
    """Of all pairs, [here, there]: in coordinates, and for every dimension in which they chose differently."""
    numeric = (here[0] ** 2).sum(axis=1)[:, None] + (there[0] ** 2).sum(axis=1) - 2 * here[0] @ there[0].T
    chosen = here[1].sum(axis=1)[:, None] - here[1] @ there[1].T
    return np.maximum(numeric, 0) + _CHOICE_DISTANCE**2 * chosen


def _matern(squared_distances: Floats, length: float) -> Floats:
    scaled = np.sqrt(5 * squared_distances) / length
    kernel: Floats = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
    return kernel
