"""What a trial has to beat."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study import is_feasible


@dataclass(frozen=True)
class Bar:
    """An accuracy that a trial has to reach, or to exceed, for its result to matter.

    Args:
        accuracy: The accuracy, a fraction.
        exceeded: Whether to reach it is too little.
        number: Number of the trial of the front that has it; None if it is the floor.
    """

    accuracy: float
    exceeded: bool
    number: int | None = None

    def __str__(self) -> str:
        if self.number is None:
            return f"the accuracy_floor of {self.accuracy:.2%}"
        return f"more than the {self.accuracy:.2%} of trial {self.number}, which needs no more memory"

    def is_passed_by(self, accuracy: float) -> bool:
        """Whether an accuracy is enough."""
        return accuracy > self.accuracy if self.exceeded else accuracy >= self.accuracy

    def correct_needed(self, total: int) -> int:
        """The fewest correct answers of ``total`` that are enough; ``total`` + 1 if all are not."""
        correct = max(0, math.floor(self.accuracy * total) - 1)
        # By the very division that makes an accuracy of counts: 0.29 * 100 is not 29.
        while correct <= total and not self.is_passed_by(correct / total):
            correct += 1
        return correct


def find_bar(earlier: Iterable[FrozenTrial], memory_kib: float, accuracy_floor: float | None) -> Bar | None:
    """The bar of a trial: the best feasible accuracy for no more memory, or the floor; None if there is neither.

    Args:
        earlier: Finished trials.
        memory_kib: What the trial needs.
        accuracy_floor: What it must reach in any case.

    Raises:
        ValueError: If an accuracy is no fraction.
    """
    bar = None if accuracy_floor is None else Bar(accuracy_floor, exceeded=False)
    for trial in earlier:
        memory, accuracy = trial.values
        if not (math.isfinite(memory) and math.isfinite(accuracy)):
            continue
        if not 0 <= accuracy <= 1:
            raise ValueError(
                f"Accuracies must be fractions between 0 and 1, got {accuracy!r} of trial {trial.number}: divide by "
                "the number of samples."
            )
        if memory > memory_kib or not is_feasible(trial):
            continue
        # On equal terms the front is the harder one: it has to be exceeded.
        if bar is None or accuracy > bar.accuracy or (accuracy == bar.accuracy and not bar.exceeded):
            bar = Bar(accuracy, exceeded=True, number=trial.number)
    return bar


def finished_before(trial: optuna.Trial) -> list[FrozenTrial]:
    """Completed trials of the study that were so when ``trial`` began.

    NOTE: those of other workers that finish meanwhile are left out. A bar that rises between two looks would be another
    hypothesis, and the guarantee is for one that is fixed before the first sample.
    """
    start = trial.datetime_start
    completed = trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [
        other
        for other in completed
        if start is None or other.datetime_complete is None or other.datetime_complete <= start
    ]
