"""What is assumed of the parameters of a model before there are observations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CONFIDENCE = 4.0
"""Parameters as which the given deviations count, when it is learned from fits how exact expectations are."""

_SOME = 3
"""Parameters that must be judged to tell what all are off by."""


@dataclass(frozen=True, eq=False)
class Expected:
    """Values that are expected of some parameters.

    Args:
        values: [parameters], NaN where nothing is expected.
        deviations: Least standard deviations of the parameters around them, likewise.
        judged: The parameters by which it is told how exact the expectation is.
    """

    values: Floats
    deviations: Floats
    judged: slice


class RandomizedPrior:
    """Independent normal distributions of parameters, and for each member of an ensemble a mean that is drawn of them.

    Of some parameters a value is expected, so they are more certain. How much so is learned: if fits to observations
    settle elsewhere, the deviations from what is expected grow together, and an expectation that was wrong loses its
    influence. What all judged parameters are off by counts for nothing if there are some, since another parameter of
    the model takes care of it. The factor of the deviations is that of one step of expectation maximization after every
    fit, with a prior that counts as a few parameters (Gelman et al. 2013, Bayesian Data Analysis, section 13.6).

    Args:
        mean: [parameters].
        deviation: Standard deviation, likewise.
        members: Members of the ensemble.
        seed: Of the drawn means.
        expected: What is expected, if anything is.

    Attributes:
        means: [members, parameters].
        precision: [parameters].
    """

    def __init__(
        self, mean: Floats, deviation: Floats, members: int, seed: int, expected: Expected | None = None
    ) -> None:
        self._mean, self._own_precision = mean, 1 / deviation**2
        self._draws = np.random.default_rng([seed, 0]).normal(size=(members, len(mean)))
        self._expected = expected
        self._factor = 1.0
        self.means, self.precision = mean + deviation * self._draws, self._own_precision
        self._combine()

    def learn(self, fitted: Floats) -> None:
        """Take notice of how far the fits of the members are from what was expected.

        Args:
            fitted: [members, parameters].
        """
        if self._expected is None:
            return
        known = np.isfinite(self._expected.values)
        away = np.where(known, (fitted - self._expected.values) / self._expected.deviations, 0.0)
        judged = np.zeros(len(known), dtype=bool)
        judged[self._expected.judged] = known[self._expected.judged]
        if judged.sum() >= _SOME:
            away[:, judged] -= np.median(away[:, judged], axis=1, keepdims=True)
        variance = (_CONFIDENCE + (away**2).mean(axis=0)[judged].sum()) / (_CONFIDENCE + judged.sum())
        self._factor = max(1.0, float(np.sqrt(variance)))
        self._combine()

    def _combine(self) -> None:
        """The product of both distributions."""
        if self._expected is None:
            return
        values = self._expected.values
        certain = np.where(np.isfinite(values), (self._factor * self._expected.deviations) ** -2.0, 0.0)
        self.precision = self._own_precision + certain
        mean = (self._own_precision * self._mean + certain * np.nan_to_num(values)) / self.precision
        self.means = mean + self._draws / np.sqrt(self.precision)
