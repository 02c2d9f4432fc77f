"""Lazy greedy descent: the bit goes first that costs least accuracy for the memory that it saves."""

from __future__ import annotations

import heapq
from collections.abc import Generator

from searching.rivals.choices import Params
from searching.rivals.proposals import Notes

_UNNOTICED = 0.01
"""Loss of accuracy that nobody would tell from noise, and which does not stop a bit from going at once."""


def descend(notes: Notes, start: Params, stop: float) -> Generator[Params, float, Params]:
    """Take bits away, one at a time, until the accuracy would fall below ``stop``.

    The losses of before are taken for lower bounds of today's, since the narrower a network is the more the next bit
    costs: one is measured again only when it is the least of all. Before its first measurement a loss is 0.

    Args:
        notes: Of the search.
        start: Where to begin.
        stop: Accuracy below which nothing is taken away any more.

    Returns:
        Where the descent ended.
    """
    choices, current = notes.choices, start
    accuracy = yield from notes.measure(start)
    queue = [(0.0, -choices.kib_per_bit[name], name) for name in choices.costly]
    heapq.heapify(queue)
    while queue:
        _, minus_kib, name = heapq.heappop(queue)
        narrower = choices.narrowed(current, name)
        if narrower is None:
            continue
        measured = yield from notes.measure(narrower)
        if measured < max(stop, notes.floor):
            # What is too much now will be too much later.
            continue
        loss = accuracy - measured
        rate = max(loss, 0.0) / -minus_kib
        if loss <= _UNNOTICED or not queue or rate <= queue[0][0]:
            current, accuracy = narrower, measured
        heapq.heappush(queue, (rate, minus_kib, name))
    return current
