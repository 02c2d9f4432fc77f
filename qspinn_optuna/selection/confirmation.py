"""The best candidates measured again, on fresh samples or with fresh draws, before one of them is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.front import Candidate, ParetoFront, nondominated
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.ranking import most_accurate, smaller_first
from qspinn_optuna.selection.selector import Selector
from qspinn_optuna.study import (
    Confirmation,
    Counts,
    TrialRecord,
    accuracy_floor,
    baseline_of,
    confirmation_of,
    record_confirmation,
)
from qspinn_optuna.tables import format_table
from qspinn_optuna.targets import Target
from qspinn_optuna.workloads import ConfirmableWorkload, Fresh, last_counts, missing_members, right_of

_ROUNDING = 1e-9
"""Less than the share of one sample, and more than the rounding error of a difference."""

_HEADER = ("trial", "ratio", "before", "again", "floor", "taken")


@dataclass(frozen=True)
class Confirmed:
    """A choice among models that were measured again.

    Example:
        >>> from qspinn_optuna.study import Counts
        >>> known = {"before": choice, "choice": choice, "fresh": Fresh.DRAWS, "candidates": (choice.candidate,)}
        >>> counts = {"counts": {8: Counts(880, 1_000)}, "baseline": Counts(950, 1_000)}
        >>> Confirmed(**known, **counts, floor=0.85, evaluations=2, is_same=False).choice.trial_number
        8

    Args:
        choice: The choice by the second measurement. Its candidates have the accuracies of their trials.
        before: The choice by the first one.
        fresh: What was fresh.
        candidates: The models that were measured again, by ascending memory, with the accuracies of their trials.
        counts: Their second counts, by trial number.
        baseline: Second counts of the float network.
        floor: The accuracy that they must reach in the second measurement; None if the study has no floor.
        evaluations: How many evaluations this took now, that of the float network included.
        is_same: Whether all answers are the same as before: then nothing in the evaluations is drawn.
    """

    choice: Choice
    before: Choice
    fresh: Fresh
    candidates: tuple[Candidate, ...]
    counts: Mapping[int, Counts]
    baseline: Counts
    floor: float | None
    evaluations: int
    is_same: bool

    @property
    def is_confirmed(self) -> bool:
        """Whether the choice reaches the floor."""
        return self._reaches(self.choice.trial_number)

    def __str__(self) -> str:
        again = f"Measured again: {_models(len(self.candidates))}, {_what(self.fresh, self.baseline.seen)}"
        floor = "" if self.floor is None else f", feasible from {self.floor:.2%}"
        return "\n".join(
            [
                again,
                format_table(_HEADER, [self._row(candidate) for candidate in self.candidates]),
                f"float network: {self.baseline.accuracy:.2%}{floor}",
                self._verdict,
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The confirmation as plain values for JSON."""
        return {
            "fresh": self.fresh.value,
            "choice_before": self.before.trial_number,
            "baseline": {"correct": self.baseline.correct, "seen": self.baseline.seen},
            "floor": self.floor,
            "models": [
                {"trial": number, "correct": counts.correct, "seen": counts.seen}
                for number, counts in self.counts.items()
            ],
        }

    def _reaches(self, number: int) -> bool:
        return self.floor is None or self.counts[number].accuracy >= self.floor - _ROUNDING

    def _row(self, candidate: Candidate) -> list[str]:
        number = candidate.trial_number
        return [
            str(number),
            f"{candidate.compression:.2f}x",
            f"{candidate.accuracy:.2%}",
            f"{self.counts[number].accuracy:.2%}",
            "reached" if self._reaches(number) else "missed",
            "yes" if number == self.choice.trial_number else "",
        ]

    @property
    def _verdict(self) -> str:
        if self.is_same:
            return "All answers are as before: nothing in these evaluations is drawn, so nothing is confirmed."
        if not self.is_confirmed:
            return f"None of them reaches the floor again: try --confirm {2 * len(self.candidates)}, or more trials."
        if self.choice.trial_number == self.before.trial_number:
            return f"The choice stays trial {self.choice.trial_number}."
        return f"The choice was trial {self.before.trial_number}, and is trial {self.choice.trial_number} now."


def confirm(
    study: optuna.Study,
    workload: ConfirmableWorkload,
    selector: Selector,
    count: int,
    *,
    target: Target | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Confirmed:
    """Measure the best candidates again, and choose among them by that.

    The candidates are those that the rule chooses, chooses without the first, and so on. They and the float network are
    measured on samples that nothing was trained on or chosen by, if the workload has some; else on the same ones with
    fresh draws, which tells of the luck of the draws, and not of that of the samples. The study stores each
    measurement when it is made, and none is made twice, unless it was on other samples. The accuracy floor of the
    second measurement is as far below the float network as that of the study. If no candidate reaches it, the most
    accurate one is chosen.

    Example:
        >>> class Drawn(type(workload)):
        ...     fresh = Fresh.SAMPLES
        ...     fresh_fingerprint = "the samples"
        ...     fresh_baseline = (1_900, 2_000)
        ...     def evaluate_fresh(self, config, seed):
        ...         yield (1_680, 2_000) if config.scheme == "ptq" else (1_800, 2_000)
        >>> confirmed = confirm(study, Drawn(), SmallestSelector(), 2)
        >>> confirmed.before.trial_number, confirmed.choice.trial_number, confirmed.evaluations
        (8, 14, 3)

    Args:
        study: A study of ``workload``.
        workload: The workload.
        selector: The rule.
        count: Number of candidates.
        target: The device that they must fit; any will do if not given.
        tell: Is called with a line before each evaluation.

    Raises:
        TypeError: If the workload cannot measure again.
        ValueError: If ``count`` is under 1, or there is nothing to choose from.
    """
    check_confirmable(workload)
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}.")
    choices = _ranked(study, selector, target, count)
    candidates = tuple(sorted((choice.candidate for choice in choices), key=smaller_first))
    bench = _Bench(study, workload, tell)
    missing = [one for one in candidates if not bench.has(one.trial_number)]
    if missing or not bench.has(None):
        float_too = "" if bench.has(None) else " and the float network"
        tell(f"Measuring {_models(len(missing))} again{float_too}, {workload.fresh.value}")
    baseline = bench.baseline()
    again = {candidate.trial_number: bench.of(candidate) for candidate in candidates}
    counts = {number: confirmation.counts for number, confirmation in again.items()}
    floor = _fresh_floor(study, baseline.counts)
    choice = _choice(study, selector, candidates, counts, floor, _what(workload.fresh, baseline.counts.seen))
    is_same = workload.fresh is Fresh.DRAWS and all(_is_as_before(study, number, again[number]) for number in again)
    return Confirmed(
        choice, choices[0], workload.fresh, candidates, counts, baseline.counts, floor, bench.evaluations, is_same
    )


def check_confirmable(workload: object) -> None:
    """Refuse a workload that cannot measure its networks again.

    Example:
        >>> check_confirmable(workload)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        TypeError: workload must be able to measure again, got Formula, which has no fresh, ...

    Raises:
        TypeError: If it is one.
    """
    missing = missing_members(workload, ConfirmableWorkload)
    if missing:
        raise TypeError(
            f"workload must be able to measure again, got {type(workload).__name__}, which has no {', '.join(missing)}."
        )


class _Bench:
    """Measures what a study does not know yet."""

    def __init__(self, study: optuna.Study, workload: ConfirmableWorkload, tell: Callable[[str], object]) -> None:
        self._study = study
        self._workload = workload
        self._fresh = workload.fresh
        self._tell = tell
        self.evaluations = 0

    def has(self, number: int | None) -> bool:
        return self._known(number) is not None

    def baseline(self) -> Confirmation:
        return self._measured(None, "the float network", lambda: self._workload.fresh_baseline)

    def of(self, candidate: Candidate) -> Confirmation:
        record = TrialRecord(self._study.get_trials(deepcopy=False)[candidate.trial_number])
        return self._measured(
            candidate.trial_number,
            f"trial {candidate.trial_number}, {candidate.compression:.2f}x",
            lambda: last_counts(self._workload.evaluate_fresh(candidate.config, record.seed or 0)),
        )

    def _known(self, number: int | None) -> Confirmation | None:
        """What is stored, of the same samples."""
        known = confirmation_of(self._study, number, self._fresh)
        return known if known is not None and known.fingerprint == self._workload.fresh_fingerprint else None

    def _measured(self, number: int | None, name: str, measure: Callable[[], tuple[int, int]]) -> Confirmation:
        known = self._known(number)
        if known is not None:
            return known
        self.evaluations += 1
        self._tell(f"  {name} ...")
        counts = measure()
        made = Confirmation(self._fresh, Counts(*counts), right_of(counts), self._workload.fresh_fingerprint)
        record_confirmation(self._study, number, made)
        return made


def _ranked(study: optuna.Study, selector: Selector, target: Target | None, count: int) -> list[Choice]:
    """What the rule chooses, and what it chooses without the choices before."""
    found: list[Choice] = []
    taken: set[QuantizationConfig] = set()
    while len(found) < count:
        try:
            front = ParetoFront.from_study(study, where=lambda config: config not in taken, target=target)
            choice = selector.select(front)
        except ValueError:
            if not found:
                raise
            break  # There are fewer.
        found.append(choice)
        taken.add(choice.config)
    return found


def _fresh_floor(study: optuna.Study, baseline: Counts) -> float | None:
    floor, before = accuracy_floor(study), baseline_of(study)
    return None if floor is None or before is None else max(0.0, baseline.accuracy - (before.accuracy - floor))


def _choice(
    study: optuna.Study,
    selector: Selector,
    candidates: Sequence[Candidate],
    counts: Mapping[int, Counts],
    floor: float | None,
    what: str,
) -> Choice:
    """The choice by second counts, whose candidates have the accuracies of their trials."""
    seen_again = [
        replace(one, accuracy=counts[one.trial_number].accuracy, samples=counts[one.trial_number].seen)
        for one in candidates
    ]
    reaching = [one for one in seen_again if floor is None or one.accuracy >= floor - _ROUNDING]
    if not reaching:
        best = most_accurate(seen_again)
        rule = f"most accurate of {_models(len(seen_again))}, none of which reached {floor:.2%} {what}"
        return _as_in_trials(Choice(best, best.accuracy, rule), candidates)
    ordered = nondominated(reaching, lambda one: (one.memory_kib, one.accuracy, one.trial_number))
    whole = ParetoFront.from_study(study, feasible_only=False)
    choice = selector.select(ParetoFront(tuple(ordered), whole.baseline_kib, floor))
    return _as_in_trials(replace(choice, rule=f"{choice.rule}, {what}"), candidates)


def _as_in_trials(choice: Choice, candidates: Sequence[Candidate]) -> Choice:
    by_number = {candidate.trial_number: candidate for candidate in candidates}
    rivals = tuple(by_number[rival.trial_number] for rival in choice.rivals)
    return replace(choice, candidate=by_number[choice.trial_number], rivals=rivals)


def _is_as_before(study: optuna.Study, number: int, again: Confirmation) -> bool:
    """Whether a second measurement gave the same answers, or counts where answers are not known."""
    record = TrialRecord(study.get_trials(deepcopy=False)[number])
    if record.right is None or again.right is None:
        return record.counts == again.counts
    return bool(np.array_equal(record.right, again.right))


def _models(count: int) -> str:
    return f"{count} model{'s' if count != 1 else ''}"


def _what(fresh: Fresh, samples: int) -> str:
    return f"on {samples:,} fresh samples" if fresh is Fresh.SAMPLES else f"on the same {samples:,} samples, drawn anew"
