"""What is assumed of the parameters of a model before there are observations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DEVIATION = 1.0
"""Least standard deviation of parameters around what is expected of them, in units of the coordinates."""

_CONFIDENCE = 4.0
"""Parameters as which the least deviation counts, when the deviation is learned from fits."""


class RandomizedPrior:
    """Independent normal distributions of parameters, and for each member of an ensemble a mean that is drawn of them.

    Of some parameters a value is expected, so they are more certain. How much so is learned: if fits to observations
    settle elsewhere, the deviation from what is expected grows, and an expectation that was wrong has no influence any
    more. What all members are wrong about by the same amount counts for nothing, since another parameter of the model
    takes care of it. The deviation is that of one step of expectation maximization after every fit, with a prior that
    counts as a few parameters (Gelman et al. 2013, Bayesian Data Analysis, section 13.6).

    Args:
        mean: [parameters].
        deviation: Standard deviation, likewise.
        members: Members of the ensemble.
        seed: Of the drawn means.
        expected: Values that are expected, [parameters], NaN where none is; None if nothing is expected.

    Attributes:
        means: [members, parameters].
        precision: [parameters].
    """

    def __init__(
        self, mean: Floats, deviation: Floats, members: int, seed: int, expected: Floats | None = None
    ) -> None:
        self._mean, self._own_precision = mean, 1 / deviation**2
        self._draws = np.random.default_rng([seed, 0]).normal(size=(members, len(mean)))
        self._expected = expected
        self._deviation = _DEVIATION
        self.means, self.precision = mean + deviation * self._draws, self._own_precision
        self._combine()

    def learn(self, fitted: Floats) -> None:
        """Take notice of how far the fits of the members are from what was expected.

        Args:
            fitted: [members, parameters].
        """
        if self._expected is None:
            return
        away = (fitted - self._expected)[:, np.isfinite(self._expected)]
        away = away - np.median(away, axis=1, keepdims=True)
        variance = (_CONFIDENCE * _DEVIATION**2 + (away**2).mean(axis=0).sum()) / (_CONFIDENCE + away.shape[1])
        self._deviation = max(_DEVIATION, float(np.sqrt(variance)))
        self._combine()

    def _combine(self) -> None:
        """The product of both distributions."""
        if self._expected is None:
            return
        certain = np.where(np.isfinite(self._expected), self._deviation**-2, 0.0)
        self.precision = self._own_precision + certain
        mean = (self._own_precision * self._mean + certain * np.nan_to_num(self._expected)) / self.precision
        self.means = mean + self._draws / np.sqrt(self.precision)
