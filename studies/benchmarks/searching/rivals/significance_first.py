"""The narrowest width of each parameter alone first, then a descent from all of them together."""

from __future__ import annotations

from collections.abc import Generator

from searching.rivals.choices import Params
from searching.rivals.descent import descend
from searching.rivals.neighbourhood import try_neighbours
from searching.rivals.proposals import Notes, Proposals

_SUFFICIENT = 0.01
"""Loss of accuracy that the narrowest sufficient width has at most."""

_TOLERATED = 0.03
"""Loss of all sufficient widths together beyond which each gets a bit more."""

_KEPT = 0.5
"""Share of the best accuracy down to which the descent goes."""


def significance_first(notes: Notes) -> Proposals:
    """Bisect each width with all others at their widest, combine what suffices, and take bits away from there."""
    choices = notes.choices
    widest = choices.uniform(choices.ends[1], choices.settings[0])
    reference = yield from notes.measure(widest)
    combined = dict(widest)
    for name in choices.costly:
        combined[name] = yield from _narrowest(notes, widest, name, reference - _SUFFICIENT)
    while (yield from notes.measure(combined)) < reference - _TOLERATED and combined != widest:
        wider = {name: min(combined[name] + 1, widest[name]) for name in choices.costly}
        combined = combined | wider
    yield from descend(notes, combined, _KEPT * reference)
    yield from try_neighbours(notes)


def _narrowest(notes: Notes, widest: Params, name: str, required: float) -> Generator[Params, float, int]:
    """The narrowest width of one parameter that reaches the required accuracy, by bisection."""
    low, high = notes.choices.widths[name]
    while low < high:
        middle = (low + high) // 2
        accuracy = yield from notes.measure(widest | {name: middle})
        low, high = (low, middle) if accuracy >= required else (middle + 1, high)
    return high
