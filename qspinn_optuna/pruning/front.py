"""The pruner of trials that cannot enter the front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import optuna
from optuna.trial import FrozenTrial

from qspinn_optuna.pruning.conformal import largest_gain
from qspinn_optuna.pruning.requirement import Requirement, find_requirement, finished_before
from qspinn_optuna.pruning.sequential import cannot_reach, check_confidence, check_counts, upper_bound
from qspinn_optuna.study import TrialRecord, accuracy_floor, check_directions, record_progress
from qspinn_optuna.workloads import TrainingProgress


@dataclass(frozen=True)
class FrontPruner:
    """Stops trials that can no longer beat the front at their memory, or reach the accuracy floor.

    A trial must exceed the best accuracy of the feasible finished trials that need no more memory by ``minimum_gain``,
    and reach the accuracy floor of the study. Both are fixed when the trial begins. A trial that would meet this
    requirement is stopped with a probability of at most 1 - ``confidence`` over all looks, see
    :func:`~qspinn_optuna.pruning.cannot_reach`, which assumes samples in random order. If the trial has rungs, too, the
    test in training and the test in evaluation get half of that probability each.

    The test in training, see :func:`~.conformal.largest_gain`, assumes that trials of one scheme are exchangeable. With
    a sampler that learns they are so only approximately, and stopped trials have no gain to compare. With a confidence
    of 0.95 the test begins after 39 finished trials of the scheme, with 0.9 after 19.

    In a user's own objective::

        pruner = FrontPruner(confidence=0.95)
        for correct, seen in my_evaluation(config):
            if pruner.should_prune(trial, memory_kib, correct, seen):
                raise optuna.TrialPruned

    Example:
        >>> objective = QuantizationObjective(workload, space, pruner=FrontPruner(confidence=0.95, minimum_gain=0.005))

    Args:
        confidence: Between 0 and 1, both excluded.
        minimum_gain: Accuracy, a fraction, by which a trial must exceed the front at its memory. With 0 any lead
            counts, even one within the noise of the evaluation; with a larger gain, the front has fewer models that are
            farther apart.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If it is outside its range.
    """

    confidence: float = 0.95
    minimum_gain: float = 0.0

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        gain = self.minimum_gain
        if isinstance(gain, bool) or not isinstance(gain, Real):
            raise TypeError(f"minimum_gain must be a number between 0 and 1, such as 0.005, got {gain!r}.")
        if not 0 <= gain <= 1:
            raise ValueError(f"minimum_gain must be between 0 and 1, such as 0.005, got {gain!r}.")

    def should_prune(
        self,
        trial: optuna.Trial,
        memory_kib: float,
        correct: int,
        seen: int,
        *,
        total: int | None = None,
    ) -> bool:
        """Whether an evaluation should stop; arguments and errors as in :meth:`reason_to_prune`."""
        return self.reason_to_prune(trial, memory_kib, correct, seen, total=total) is not None

    def reason_to_prune(
        self,
        trial: optuna.Trial,
        memory_kib: float,
        correct: int,
        seen: int,
        *,
        total: int | None = None,
    ) -> str | None:
        """The reason why an evaluation should stop; None if it should go on.

        An evaluation that is known to be complete is never stopped.

        Args:
            trial: The trial; its study minimizes memory and maximizes accuracy.
            memory_kib: Memory of the trial, in the unit of the first objective.
            correct: Correct answers so far.
            seen: Samples so far.
            total: Samples of the whole evaluation. If not given, the number that all finished trials have; if they
                differ, samples count as independent draws.

        Raises:
            TypeError: If a count is not a whole number.
            ValueError: If the counts are impossible, ``memory_kib`` is not finite, an accuracy of the study is not a
                fraction, or the study has other objectives.
        """
        check_counts(correct, seen, total)
        earlier, requirement = self._situation(trial, memory_kib)
        if requirement is None:
            return None
        total = _known_total(earlier, seen) if total is None else total
        if seen == total:
            return None
        has_rungs = bool(TrialRecord(trial).progress)
        confidence = self._half_confidence if has_rungs else self.confidence
        if not _is_out_of_reach(requirement, correct, seen, total, confidence):
            return None
        highest = upper_bound(correct, seen, confidence, total)
        return f"{correct} of {seen} correct: at most {highest:.2%} in the end, and it takes {requirement}."

    def reason_to_stop_training(
        self,
        trial: optuna.Trial,
        memory_kib: float,
        progress: TrainingProgress,
    ) -> str | None:
        """The reason why a training should stop; None if it should go on.

        The trial stores the rung, for later trials to compare with.

        Args:
            trial: The trial, as in :meth:`reason_to_prune`.
            memory_kib: Memory of the trial, in the unit of the first objective.
            progress: The newest rung.

        Raises:
            ValueError: As in :meth:`reason_to_prune`.
        """
        rungs = record_progress(trial, progress)
        earlier, requirement = self._situation(trial, memory_kib)
        if requirement is None:
            return None
        scheme = trial.params.get("scheme")
        alike = [other for other in earlier if other.params.get("scheme") == scheme]
        highest = progress.accuracy + largest_gain(alike, rungs, self._half_confidence)
        if requirement.is_passed_by(highest):
            return None
        return (
            f"{progress.accuracy:.2%} correct after {progress.fraction:.0%} of the training: at most {highest:.2%} in "
            f"the end, and it takes {requirement}."
        )

    def _situation(self, trial: optuna.Trial, memory_kib: float) -> tuple[list[FrozenTrial], Requirement | None]:
        """The trials that finished before this one, and its requirement."""
        check_directions(trial.study)
        if not (isinstance(memory_kib, Real) and math.isfinite(memory_kib)):
            raise ValueError(f"memory_kib must be a finite number, got {memory_kib!r}.")
        earlier = finished_before(trial)
        return earlier, find_requirement(earlier, memory_kib, accuracy_floor(trial.study), self.minimum_gain)

    @property
    def _half_confidence(self) -> float:
        """Confidence of each of the two tests."""
        return 1 - (1 - self.confidence) / 2


def _known_total(earlier: Sequence[FrozenTrial], seen: int) -> int | None:
    """Samples of an evaluation: the number that all finished trials have, unless more were seen already."""
    totals = {TrialRecord(trial).samples for trial in earlier}
    total = totals.pop() if len(totals) == 1 else None
    return total if total is not None and total >= seen else None


def _is_out_of_reach(requirement: Requirement, correct: int, seen: int, total: int | None, confidence: float) -> bool:
    if total is not None:
        return cannot_reach(correct, seen, requirement.correct_needed(total), confidence, total)
    return requirement.is_unreachable or cannot_reach(correct, seen, requirement.height, confidence)
