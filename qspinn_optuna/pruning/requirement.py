"""The accuracy that a trial must reach or exceed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study import accuracy_of, is_feasible, memory_of


@dataclass(frozen=True)
class Requirement:
    """An accuracy that a trial must reach, or exceed, to enter the front.

    Args:
        accuracy: The accuracy, a fraction.
        exceeded: Whether the trial must exceed it, not only reach it.
        number: Number of the trial of the front with this accuracy; None if it is the floor.
        gain: The least difference by which it must be exceeded, a fraction.
    """

    accuracy: float
    exceeded: bool
    number: int | None = None
    gain: float = 0.0

    def __str__(self) -> str:
        if self.number is None:
            return f"the accuracy_floor of {self.accuracy:.2%}"
        more = f"{100 * self.gain:.2f} points more" if self.gain else "more"
        return f"{more} than the {self.accuracy:.2%} of trial {self.number}, which needs no more memory"

    @property
    def height(self) -> float:
        """The accuracy plus the gain, a fraction; more than 1 if the front is near perfect."""
        # Without the rounding error of the sum: 0.9 + 0.05 is more than 0.95.
        return round(self.accuracy + self.gain, 12) if self.gain else self.accuracy

    def is_passed_by(self, accuracy: float) -> bool:
        """Whether an accuracy meets the requirement."""
        return accuracy >= self.height and not (self.exceeded and accuracy == self.accuracy)

    @property
    def is_unreachable(self) -> bool:
        """Whether not even a perfect accuracy meets the requirement."""
        return not self.is_passed_by(1.0)

    def correct_needed(self, total: int) -> int:
        """The fewest correct answers of ``total`` that meet the requirement; ``total`` + 1 if none do."""
        correct = min(total, max(0, math.floor(self.height * total) - 1))
        # Accuracies are quotients of counts, and so is the comparison: 0.29 * 100 is not 29.
        while correct <= total and not self.is_passed_by(correct / total):
            correct += 1
        return correct


def find_requirement(
    earlier: Iterable[FrozenTrial], memory_kib: float, accuracy_floor: float | None, gain: float = 0.0
) -> Requirement | None:
    """The requirement of a trial: the best feasible accuracy for no more memory, or else the floor; None without both.

    Args:
        earlier: Finished trials.
        memory_kib: Memory of the trial.
        accuracy_floor: The accuracy floor of the study, a fraction; None if it has none.
        gain: The least difference by which the trial must exceed the best accuracy, a fraction.

    Raises:
        ValueError: If an accuracy is not a fraction.
    """
    requirement = None if accuracy_floor is None else Requirement(accuracy_floor, exceeded=False)
    for trial in earlier:
        memory, accuracy = memory_of(trial), accuracy_of(trial)
        if not (math.isfinite(memory) and math.isfinite(accuracy)):
            continue
        if not 0 <= accuracy <= 1:
            raise ValueError(
                f"Accuracies must be fractions between 0 and 1, got {accuracy!r} of trial {trial.number}: divide by "
                "the number of samples."
            )
        if memory > memory_kib or not is_feasible(trial, accuracy_floor):
            continue
        # Of equal accuracies the one of the front is the stricter, since it must be exceeded.
        higher = Requirement(accuracy, exceeded=True, number=trial.number, gain=gain)
        if requirement is None or (higher.height, higher.exceeded) > (requirement.height, requirement.exceeded):
            requirement = higher
    return requirement


def finished_before(trial: optuna.Trial) -> list[FrozenTrial]:
    """Trials of the study that were complete when ``trial`` began.

    NOTE: trials of other workers that finish later are left out. The guarantee of the sequential test is for a
    hypothesis that is fixed before the first sample, and a requirement that rises between looks is not.
    """
    start = trial.datetime_start
    completed = trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [
        other
        for other in completed
        if start is None or other.datetime_complete is None or other.datetime_complete <= start
    ]
