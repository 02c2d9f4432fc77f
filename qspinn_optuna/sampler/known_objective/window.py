"""The observations of a long study that its models are fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .improvement import nondominated

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

WINDOW = 400
"""Most observations of a window: up to so many, it is all of them."""

_NEAREST, _LATEST = WINDOW // 2, WINDOW // 4
"""Observations of a window that matter most, and that are the latest; the others are spread over the study."""

_GOLDEN = (np.sqrt(5) - 1) / 2
"""The multiples of the golden ratio are spread evenly, however many of them there are."""


def window(distances: Floats) -> Places:
    """Places of the observations that a model is fitted to, ascending.

    What is suggested next lies near the front, so a model has to be good there. The latest observations show where it
    was wrong, and those spread over the whole study keep the rest from being forgotten. A further observation
    changes the window in a few places only, so that a fit can begin where the last one ended.

    Args:
        distances: How far each observation is from where the model matters most, [observations].

    Returns:
        At most :data:`WINDOW` places.
    """
    size = len(distances)
    if size <= WINDOW:
        return np.arange(size)
    chosen = np.zeros(size, bool)
    chosen[-_LATEST:] = True
    # Of equal ones the latest, and never one that is in already.
    order = np.lexsort((-np.arange(size), distances, chosen))
    chosen[order[:_NEAREST]] = True
    spread = np.where(chosen, np.inf, np.arange(size) * _GOLDEN % 1)
    chosen[np.argsort(spread)[: WINDOW - _NEAREST - _LATEST]] = True
    return np.flatnonzero(chosen)


def distances_to_front(costs: Floats, gains: Floats) -> Floats:
    """How much less each point gains than the best one that costs no more, [points]; 0 on the front."""
    front = nondominated(costs, gains)
    heights: Floats = gains[front][np.searchsorted(costs[front], costs, side="right") - 1]
    return heights - gains
