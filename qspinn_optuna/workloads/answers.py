"""Counts of an evaluation that know which samples are right."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.workloads.progress import TrainingProgress


class Answers(tuple[int, int]):
    """(correct, seen) of an evaluation so far, and which of the samples are right.

    A workload may yield it in place of the two counts. Two networks that have seen the same samples in the same order
    can be compared sample by sample, which tells more than two accuracies.

    Example:
        >>> answers = Answers(np.array([True, False, True]))
        >>> answers, answers.right.tolist()
        ((2, 3), [True, False, True])

    Args:
        right: Whether each sample so far is right, bool [samples], in an order that is the same for all networks.
    """

    right: NDArray[np.bool_]

    def __new__(cls, right: NDArray[np.bool_]) -> Answers:
        """The counts of ``right``, with it."""
        self = super().__new__(cls, (int(right.sum()), len(right)))
        self.right = right
        return self

    def __getnewargs__(self) -> tuple[NDArray[np.bool_]]:
        return (self.right,)


class Fresh(StrEnum):
    """What an evaluation by :meth:`ConfirmableWorkload.evaluate_fresh` has that the one before had not.

    Example:
        >>> [fresh.value for fresh in Fresh]
        ['fresh samples', 'fresh draws']
    """

    SAMPLES = "fresh samples"
    """Samples that nothing was trained on or chosen by."""

    DRAWS = "fresh draws"
    """The same samples, with other input spikes and other draws of stochastic rounding."""


def right_of(look: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Which samples are right; None if the workload gives counts only.

    Example:
        >>> right_of(Answers(np.array([True, False]))).tolist(), right_of((1, 2))
        ([True, False], None)
    """
    return look.right if isinstance(look, Answers) else None


def last_counts(looks: Iterable[TrainingProgress | tuple[int, int]]) -> tuple[int, int]:
    """The counts after all samples.

    Example:
        >>> last_counts(workload.evaluate(space.uniform(8, "ptq", "nearest"), seed=0))
        (943, 1000)

    Raises:
        ValueError: If nothing is counted.
    """
    counts: tuple[int, int] = (0, 0)
    for look in looks:
        if not isinstance(look, TrainingProgress):
            counts = look
    if counts[1] == 0:
        raise ValueError("An evaluation must count at least one sample, got none.")
    return counts
