"""Models of a study: one of the gain, and one of every constraint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .constraint_model import ConstraintModel
from .grid import Rows, SearchGrid
from .milestones import Milestones
from .model import CliffModel
from .observations import Observations

Floats = NDArray[np.float64]


class Surrogate:
    """Expects gains and constraints of rows of a grid, as :class:`.Milestones` of observations tell.

    Args:
        grid: The search space.
        increasing: Whether gains are expected to grow with numeric parameters; otherwise both directions are equally
            likely. A constraint may grow or fall.
        seed: Seed of the models.
    """

    def __init__(self, grid: SearchGrid, *, increasing: bool, seed: int) -> None:
        self._grid = grid
        self._increasing = increasing
        self._seed = seed
        self._constraints: dict[str, ConstraintModel] = {}
        self._fits_of_constraints: dict[str, Milestones[ConstraintModel]] = {}
        self._expected: Floats | None = None
        self._gain = self._model_of_gain()
        self._fits_of_gain = Milestones(self._gain)

    def fit(self, observations: Observations, expected: Floats | None = None) -> None:
        """Fit all models.

        Args:
            observations: At least one.
            expected: Knees and slopes that are expected of the gain, as :class:`.CliffModel` takes them.
        """
        if not _are_equal(expected, self._expected):
            self._expected = expected
            self._fits_of_gain = Milestones(self._model_of_gain())
        features = self._grid.features(observations.rows)
        self._gain = self._fits_of_gain.fit(*features, observations.gains, observations.weights, observations.costs)
        self._constraints = {}
        for name, (rows, values) in observations.constraints.items():
            # NOTE: the fits to a constraint that the study does not have any more are kept, in case that it comes back.
            new = ConstraintModel(self._grid.units, self._grid.categories, self._seed)
            fits = self._fits_of_constraints.setdefault(name, Milestones(new))
            self._constraints[name] = fits.fit(*self._grid.features(rows), values)

    def _model_of_gain(self) -> CliffModel:
        """A model before any fit."""
        grid = self._grid
        return CliffModel(
            grid.units, grid.categories, increasing=self._increasing, seed=self._seed, expected=self._expected
        )

    @property
    def noise(self) -> Floats:
        """Scale of the noise of the gain, by each member of the ensemble, [members, 1]."""
        return self._gain.noise

    def gain(self, rows: Rows) -> Floats:
        """The gains that the members expect of intact rows, [members, rows]."""
        return self._gain.predict(*self._grid.features(rows))

    def intact(self, rows: Rows) -> Floats:
        """Probability that a row is intact, by each member, [members, rows]."""
        return self._gain.intact(self._grid.features(rows)[0])

    def feasibility(self, rows: Rows) -> Floats:
        """Probability that a row keeps the modelled constraints, [rows]."""
        probability = np.ones(len(rows))
        for model in self._constraints.values():
            probability = probability * model.probability(*self._grid.features(rows))
        return probability


def _are_equal(some: Floats | None, others: Floats | None) -> bool:
    if some is None or others is None:
        return some is others
    return np.array_equal(some, others, equal_nan=True)
