"""What a selector is, and what it must be given."""

from __future__ import annotations

import math
from typing import Protocol

from qspinn_optuna.front import Candidate, ParetoFront
from qspinn_optuna.selection.choice import Choice


class Selector(Protocol):
    """A rule that names one candidate of a front."""

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is no front.
            ValueError: If there is nothing to choose from, see :func:`check_front`.
        """
        ...


def check_front(front: ParetoFront) -> None:
    """Refuse what no rule can choose from; a front of a study always passes.

    Raises:
        TypeError: If ``front`` is no front.
        ValueError: If it is empty, or a memory or an accuracy cannot be, such as NaN.
    """
    if not isinstance(front, ParetoFront):
        raise TypeError(f"front must be a ParetoFront, such as ParetoFront.from_study(study), got {front!r}.")
    if len(front) == 0:
        raise ValueError("front must have at least one candidate, got none.")
    if not _is_size(front.baseline_kib):
        raise ValueError(f"front must have a baseline of more than 0 KiB, got {front.baseline_kib!r}.")
    for candidate in front:
        _check_candidate(candidate)


def _check_candidate(candidate: Candidate) -> None:
    number = candidate.trial_number
    if not _is_size(candidate.memory_kib):
        raise ValueError(
            f"front must have memories of more than 0 KiB, got {candidate.memory_kib!r} of trial {number}."
        )
    if not 0 <= candidate.accuracy <= 1:
        raise ValueError(
            f"front must have accuracies that are fractions between 0 and 1, got {candidate.accuracy!r} of trial "
            f"{number}."
        )
    if candidate.samples is not None and candidate.samples <= 0:
        raise ValueError(
            f"front must have accuracies of at least one sample, or None where that is unknown, got "
            f"{candidate.samples!r} of trial {number}."
        )


def _is_size(kib: float) -> bool:
    return math.isfinite(kib) and kib > 0
