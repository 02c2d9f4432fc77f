"""Neighbours of the best: what everybody ends with."""

from __future__ import annotations

import numpy as np

from searching.fronts import nondominated
from searching.rivals.choices import Params
from searching.rivals.proposals import Notes, Proposals

_DRAWS = 1_000
"""Configurations that are drawn to find a new one."""


def try_neighbours(notes: Notes) -> Proposals:
    """Neighbours of the front, first of the points that hold most of its area; at random when all were tried."""
    while True:
        params = _new_neighbour(notes) or _new_at_random(notes)
        if params is None:
            # There may be no other.
            yield notes.choices.drawn(notes.rng)
        else:
            yield from notes.measure(params)


def _new_neighbour(notes: Notes) -> Params | None:
    for place in _front_by_area(notes):
        unseen = [near for near in notes.choices.neighbours(notes.params[place]) if notes.is_new(near)]
        if unseen:
            return unseen[int(notes.rng.integers(len(unseen)))]
    return None


def _new_at_random(notes: Notes) -> Params | None:
    drawn = (notes.choices.drawn(notes.rng) for _ in range(_DRAWS))
    return next((params for params in drawn if notes.is_new(params)), None)


def _front_by_area(notes: Notes) -> list[int]:
    """Places of the measured configurations that make up the front, drawn by the area that each dominates alone.

    Where none reaches the floor, the most accurate one stands for the front.
    """
    accuracy = np.array(notes.accuracy)
    memory = np.array([notes.choices.kib(params) for params in notes.params])
    feasible = np.flatnonzero(accuracy >= notes.floor)
    if len(feasible) == 0:
        return [int(np.argmax(accuracy))]
    front = feasible[nondominated(memory[feasible], -accuracy[feasible])]
    widths = np.diff(memory[front], append=memory.max())
    heights = np.diff(accuracy[front], prepend=max(accuracy.min(), notes.floor))
    # A small constant keeps the sum positive.
    areas = widths * heights + 1e-12
    drawn: list[int] = notes.rng.choice(front, len(front), replace=False, p=areas / areas.sum()).tolist()
    return drawn
