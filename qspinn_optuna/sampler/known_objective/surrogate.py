"""Models of a study: one of the gain, and one of every constraint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .constraint_model import ConstraintModel
from .grid import Rows, SearchGrid
from .model import CliffModel
from .observations import Observations

Floats = NDArray[np.float64]


class Surrogate:
    """Expects gains and constraints of rows of a grid. Every fit begins where the last one ended.

    Args:
        grid: The search space.
        increasing: Whether gains are expected to grow with numeric parameters; otherwise both directions are equally
            likely. A constraint may grow or fall.
        seed: Seed of the models.
    """

    def __init__(self, grid: SearchGrid, *, increasing: bool, seed: int) -> None:
        self._grid = grid
        self._seed = seed
        self._gain = CliffModel(grid.units, grid.categories, increasing=increasing, seed=seed)
        self._constraints: dict[str, ConstraintModel] = {}
        self._constraint_names: tuple[str, ...] = ()

    def fit(self, observations: Observations) -> None:
        """Fit all models to a study with at least one observation."""
        features = self._grid.features(observations.rows)
        self._gain.fit(*features, observations.gains, observations.weights, observations.costs)
        for name, (rows, values) in observations.constraints.items():
            if name not in self._constraints:
                self._constraints[name] = ConstraintModel(self._grid.units, self._grid.categories, self._seed)
            self._constraints[name].fit(*self._grid.features(rows), values)
        # A model of a constraint that the study does not have (any more) is kept, but not asked.
        self._constraint_names = tuple(observations.constraints)

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
        for name in self._constraint_names:
            probability = probability * self._constraints[name].probability(*self._grid.features(rows))
        return probability
