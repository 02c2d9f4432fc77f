"""A known objective that is linear in the parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from .grid import SearchGrid

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """A linear function of the parameters, which is computed for thousands of candidates at once.

    Attributes:
        constant: Its value where all parameters are 0.
        coefficients: How much it grows with each numeric parameter; it does not depend on the others.
    """

    constant: float
    coefficients: Mapping[str, float]

    def __call__(self, params: Mapping[str, Any]) -> float:
        """The value for the parameters of one configuration."""
        return math.fsum([self.constant, *(slope * params[name] for name, slope in self.coefficients.items())])

    def in_rows(self, grid: SearchGrid) -> tuple[float, Floats] | None:
        """Its constant and its slopes, [dimensions], as a function of rows of a grid; None if it is not linear there.

        Raises:
            ValueError: If a parameter with a coefficient is not a numeric one of the grid.
        """
        unknown = sorted(self.coefficients.keys() - grid.all_names)
        if unknown:
            raise ValueError(f"coefficients must be of parameters of search_space, got some of {unknown}.")
        slopes = np.zeros(len(grid.names))
        for i, (name, dimension) in enumerate(grid.distributions.items()):
            if name not in self.coefficients:
                continue
            if isinstance(dimension, CategoricalDistribution):
                raise ValueError(f"coefficients must be of numeric parameters, got one of {name!r}: {dimension}.")
            if isinstance(dimension, FloatDistribution) and dimension.log:
                return None
            assert isinstance(dimension, IntDistribution | FloatDistribution)
            # A row counts steps; in a continuous dimension it has the fraction of the range.
            unit = dimension.high - dimension.low if dimension.step is None else dimension.step
            slopes[i] = unit * self.coefficients[name]
        return self(grid.decode(np.zeros(len(grid.names)))), slopes
