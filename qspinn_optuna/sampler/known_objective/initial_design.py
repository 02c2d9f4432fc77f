"""The configurations with which a study begins."""

from __future__ import annotations

import numpy as np

from .grid import Rows, SearchGrid

FRACTIONS = (1.0, 0.5, 0.25, 0.75, 0.125, 0.0)
"""Fractions of all numeric ranges at which a study begins."""


def initial_design(grid: SearchGrid) -> Rows:
    """One configuration for each of :data:`FRACTIONS`, [points, dimensions]; choices take turns."""
    return np.array([grid.spread(fraction, turn) for turn, fraction in enumerate(FRACTIONS)])
