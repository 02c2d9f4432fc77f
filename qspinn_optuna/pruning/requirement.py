"""What a trial has to beat."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study import accuracy_of, is_feasible, memory_of


@dataclass(frozen=True)
class Requirement:
    """An accuracy that a trial has to reach, or to exceed, for its result to matter.

    Args:
        accuracy: The accuracy, a fraction.
        exceeded: Whether to reach it is too little.
        number: Number of the trial of the front that has it; None if it is the floor.
        gain: By how much it has to be exceeded at least, a fraction.
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
        """The accuracy with the gain, a fraction, but for a perfect front more than 1."""
        # Without what the sum of two floats adds: 0.9 + 0.05 is more than 0.95.
        return round(self.accuracy + self.gain, 12) if self.gain else self.accuracy

    def is_passed_by(self, accuracy: float) -> bool:
        """Whether an accuracy is enough."""
        return accuracy >= self.height and not (self.exceeded and accuracy == self.accuracy)

    @property
    def is_unreachable(self) -> bool:
        """Whether not even a perfect accuracy is enough."""
        return not self.is_passed_by(1.0)

    def correct_needed(self, total: int) -> int:
        """The fewest correct answers of ``total`` that are enough; ``total`` + 1 if all are not."""
        correct = min(total, max(0, math.floor(self.height * total) - 1))
        # By the very division that makes an accuracy of counts: 0.29 * 100 is not 29.
        while correct <= total and not self.is_passed_by(correct / total):
            correct += 1
        return correct


def find_requirement(
    earlier: Iterable[FrozenTrial], memory_kib: float, accuracy_floor: float | None, gain: float = 0.0
) -> Requirement | None:
    """What a trial has to beat: the best feasible accuracy for no more memory, or the floor; None if there is neither.

    Args:
        earlier: Finished trials.
        memory_kib: What the trial needs.
        accuracy_floor: What it must reach in any case, the floor of its study.
        gain: By how much it must exceed the best accuracy, a fraction.

    Raises:
        ValueError: If an accuracy is no fraction.
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
        # On equal terms the front is the harder one: it has to be exceeded.
        higher = Requirement(accuracy, exceeded=True, number=trial.number, gain=gain)
        if requirement is None or (higher.height, higher.exceeded) > (requirement.height, requirement.exceeded):
            requirement = higher
    return requirement


def finished_before(trial: optuna.Trial) -> list[FrozenTrial]:
    """Completed trials of the study that were so when ``trial`` began.

    NOTE: those of other workers that finish meanwhile are left out. One that rises between two looks would be another
    hypothesis, and the guarantee is for one that is fixed before the first sample.
    """
    start = trial.datetime_start
    completed = trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [
        other
        for other in completed
        if start is None or other.datetime_complete is None or other.datetime_complete <= start
    ]
