"""The memory-aware sampler without what makes it fast in long studies, to compare it with."""

from __future__ import annotations

import copy
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna import MemoryAwareSampler, QuantizationSpace
from qspinn_optuna.sampler.known_objective import model
from qspinn_optuna.sampler.known_objective.model import CliffModel


class FittedToAllSampler(MemoryAwareSampler):
    """Fits its model after every trial, from where the last fit ended, and to all observations.

    What it suggests depends on what its process has fitted before, and each fit costs more than the last one.

    Args:
        space: The space that the study searches.
        seed: Seed of all random draws.
    """

    def __init__(self, space: QuantizationSpace, *, seed: int | None = None) -> None:
        super().__init__(space, seed=seed)
        self._surrogate._fits_of_gain = _FitsOfAll(self._surrogate._gain)  # type: ignore[assignment]


class _FitsOfAll:
    """As :class:`qspinn_optuna.sampler.known_objective.milestones.Milestones`, without milestones or windows."""

    def __init__(self, fitted: CliffModel) -> None:
        self._fitted = copy.deepcopy(fitted)

    def fit(self, *data: Any) -> CliffModel:
        with patch.object(model, "window", _all_of):
            self._fitted.fit(*data)
        return self._fitted


def _all_of(distances: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.arange(len(distances))
