"""Fits that begin where earlier ones ended, and yet depend on the observations only."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FIRST, _GROWTH = 8, 1.1
"""Observations of the first milestone, and by how much the next ones have more."""

_MOST_FITS, _MANY = 8, 200
"""Most fits at a milestone, and the observations above which one is enough.

With as many fits as there are new observations, models go as far as if they had been fitted after every trial. With one
alone, the regret where accuracies have cliffs was twice as large after 100 trials.
"""


class Model(Protocol):
    """A model whose fits begin where the last one ended."""

    @property
    def fit(self) -> Callable[..., None]:
        """A method that fits to arrays of one length, [points, ...]."""
        ...


_Model = TypeVar("_Model", bound=Model)


class Milestones(Generic[_Model]):
    """The fits of a model to a growing number of observations.

    Milestones are numbers of observations, each a tenth larger than the one before. A fit to more than so many begins
    where the fit to the first so many ended, and that one at the milestone before. So a fit takes few steps, and is the
    same whatever the process has fitted before. A process that goes on with a study makes up for the milestones, whose
    number grows with the logarithm of that of the observations.

    Observations must keep their order: what is new comes last.

    Args:
        model: The model before any fit.
    """

    def __init__(self, model: _Model) -> None:
        self._model = model
        self._reached: list[tuple[tuple[Floats, ...], _Model]] = []

    def fit(self, *data: Floats) -> _Model:
        """A model that is fitted to data.

        Args:
            data: Arrays of one length, [points, ...], as the model takes them; the first points first.
        """
        begin = self._model
        for place, milestone in enumerate(_milestones_below(len(data[0]))):
            head = tuple(array[:milestone] for array in data)
            if place == len(self._reached) or not _are_equal(self._reached[place][0], head):
                # Also of another study, or if a trial has ended after later ones.
                del self._reached[place:]
                before = len(self._reached[-1][0][0]) if self._reached else 0
                fits = min(milestone - before, _MOST_FITS) if milestone <= _MANY else 1
                self._reached.append((tuple(map(np.copy, head)), _fitted(begin, head, fits)))
            begin = self._reached[place][1]
        return _fitted(begin, data)


def _milestones_below(size: int) -> list[int]:
    """Numbers of observations, less than ``size``."""
    found, milestone = [], _FIRST
    while milestone < size:
        found.append(milestone)
        milestone = int(np.ceil(_GROWTH * milestone))
    return found


def _fitted(begin: _Model, data: tuple[Floats, ...], fits: int = 1) -> _Model:
    model = copy.deepcopy(begin)
    for _ in range(fits):
        model.fit(*data)
    return model


def _are_equal(some: tuple[Floats, ...], others: tuple[Floats, ...]) -> bool:
    return all(map(np.array_equal, some, others))
