"""Configurations that show what one dimension loses alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .grid import Rows, SearchGrid

_SMALL = 1 / 15
"""Fraction of its range at which a dimension is probed alone: of widths from 1 to 16 bits, it is two."""


def probes(grid: SearchGrid, cost: Callable[[Rows], NDArray[np.float64]], top: Rows) -> Rows:
    """Points that differ from one in a single numeric dimension, which is small; what saves most comes first.

    Args:
        grid: The search space.
        cost: Of rows, to be minimized.
        top: A point with the largest numeric values, [dimensions].

    Returns:
        [numeric dimensions, dimensions].
    """
    rows = np.repeat(top[None], len(grid.numeric), axis=0)
    each = np.arange(len(rows)), grid.numeric
    rows[each] = grid.spread(_SMALL, 0)[grid.numeric]
    return rows[np.argsort(cost(rows), kind="stable")]
