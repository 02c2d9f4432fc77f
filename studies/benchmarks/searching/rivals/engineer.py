"""What a good engineer does by hand."""

from __future__ import annotations

from collections.abc import Generator

from searching.rivals.choices import Params
from searching.rivals.descent import descend
from searching.rivals.neighbourhood import try_neighbours
from searching.rivals.proposals import Notes, Proposals

_SUFFICIENT = 0.01
"""Loss of accuracy that the narrowest sufficient width has at most."""

_KEPT = 0.5
"""Share of the best accuracy down to which a descent goes."""


def engineer(notes: Notes) -> Proposals:
    """One width for all that is worth its memory by bisection, the better scheme there, then bit by bit."""
    start = yield from narrowest_uniform(notes)
    start = yield from best_scheme(notes, start)
    yield from descend(notes, start, _KEPT * max(notes.accuracy))
    yield from try_neighbours(notes)


def greedy(notes: Notes) -> Proposals:
    """From 8 bits everywhere, or as many more as the floor takes, bit by bit."""
    choices = notes.choices
    width, (_, widest) = 8, choices.ends
    while (yield from notes.measure(choices.uniform(width, choices.settings[0]))) < notes.floor and width < widest:
        width += 1
    yield from descend(notes, choices.uniform(width, choices.settings[0]), _KEPT)
    yield from try_neighbours(notes)


def narrowest_uniform(notes: Notes) -> Generator[Params, float, Params]:
    """The narrowest width for all that loses next to nothing: halves until the accuracy is lost, then bisection."""
    choices = notes.choices
    setting = choices.settings[0]
    lowest, width = choices.ends
    top = yield from notes.measure(choices.uniform(width, setting))
    sufficient, insufficient, accuracy = width, lowest - 1, top
    while width > lowest and accuracy >= _KEPT * top:
        width = max(width // 2, lowest)
        accuracy = yield from notes.measure(choices.uniform(width, setting))
        if accuracy >= top - _SUFFICIENT:
            sufficient = width
        else:
            insufficient = max(insufficient, width)
    while sufficient - insufficient > 1:
        width = (sufficient + insufficient) // 2
        accuracy = yield from notes.measure(choices.uniform(width, setting))
        sufficient, insufficient = (width, insufficient) if accuracy >= top - _SUFFICIENT else (sufficient, width)
    return choices.uniform(sufficient, setting)


def best_scheme(notes: Notes, params: Params) -> Generator[Params, float, Params]:
    """The same widths with the scheme that loses least."""
    settings = [setting for setting in notes.choices.settings if setting["rounding"] == params["rounding"]]
    accuracies = []
    for setting in settings:
        accuracies.append((yield from notes.measure(params | setting)))
    return params | settings[accuracies.index(max(accuracies))]
