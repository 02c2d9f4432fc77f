"""Neighbours of the best: what everybody ends with."""

from __future__ import annotations

import numpy as np

from searching.fronts import nondominated
from searching.rivals.proposals import Notes, Proposals


def try_neighbours(notes: Notes) -> Proposals:
    """Neighbours of the front, first of the points that hold most of its area; at random when all were tried."""
    choices, rng = notes.choices, notes.rng
    while True:
        found = None
        for place in _front_by_area(notes):
            unseen = [near for near in choices.neighbours(notes.params[place]) if notes.is_new(near)]
            if unseen:
                found = unseen[int(rng.integers(len(unseen)))]
                break
        yield from _anything(notes) if found is None else notes.measure(found)


def _anything(notes: Notes) -> Proposals:
    """A configuration drawn at random, measured before or not: there may be no other."""
    params = notes.choices.drawn(notes.rng)
    if notes.is_new(params):
        yield from notes.measure(params)
    else:
        yield params


def _front_by_area(notes: Notes) -> list[int]:
    """Places of the measured configurations that make up the front, drawn by the area that each dominates alone."""
    accuracy = np.array(notes.accuracy)
    memory = np.array([notes.choices.kib(params) for params in notes.params])
    feasible = np.flatnonzero(accuracy >= notes.floor)
    front = feasible[nondominated(memory[feasible], -accuracy[feasible])]
    widths = np.diff(memory[front], append=memory.max())
    heights = np.diff(accuracy[front], prepend=max(accuracy.min(), notes.floor))
    # A small constant keeps the sum positive.
    areas = widths * heights + 1e-12
    drawn: list[int] = notes.rng.choice(front, len(front), replace=False, p=areas / areas.sum()).tolist()
    return drawn
