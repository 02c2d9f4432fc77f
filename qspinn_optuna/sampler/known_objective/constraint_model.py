"""A model of a constraint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from .saturating import SaturatingEnsemble
from .window import window

Floats = NDArray[np.float64]

_STEPS = 12
"""Steps of a fit."""

_CHOICE_EFFECT = 2.0
"""How much a choice may change a constraint: it alone can break one, while it changes an objective but a little."""


class ConstraintModel:
    """Saturating curves of a constraint, which is kept where it is at most 0.

    Args:
        units: Length of every numeric dimension, [dimensions]; coordinates run from 0 to it.
        categories: Number of choices of every categorical dimension.
        seed: Seed of all random draws.
    """

    def __init__(self, units: Floats, categories: Sequence[int], seed: int) -> None:
        self._curves = SaturatingEnsemble(units, categories, increasing=False, choice_effect=_CHOICE_EFFECT, seed=seed)

    def fit(self, coordinates: Floats, indicators: Floats, values: Floats) -> None:
        """Fit to data from where the last fit ended; of many values to a :func:`.window` around the bound.

        Args:
            coordinates: [points, numeric dimensions].
            indicators: 1 for the choice made, [points, choices].
            values: [points], finite.
        """
        kept = window(np.abs(values))
        exact = np.ones(len(kept))
        self._curves.fit(coordinates[kept], indicators[kept], values[kept], exact, _STEPS, places=kept)

    def probability(self, coordinates: Floats, indicators: Floats) -> Floats:
        """Probability that each point keeps the constraint, [points]."""
        margins = self._curves.predict(coordinates, indicators) / self._curves.noise
        probability: Floats = ndtr(-margins).mean(axis=0)
        return probability
