"""The risk of a choice: how likely a model's true accuracy is under the floor of its study."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import optuna

from qspinn_optuna.selection.risk.optimism import Contest, corrected
from qspinn_optuna.selection.risk.posterior import paired_risk, unpaired_risk
from qspinn_optuna.study import (
    Counts,
    Right,
    TrialRecord,
    accuracy_floor,
    baseline_of,
    baseline_right_of,
    confirmation_of,
    confirmations_of,
    finished_trials,
)
from qspinn_optuna.workloads import Fresh


@dataclass(frozen=True)
class Risk:
    """How likely a model's true accuracy is under the floor.

    Example:
        >>> print(Risk(0.27, 0.12, drop=0.01, samples=1_000, lost=30, gained=29))
        risk 27% of being under the floor (lost 30, gained 29 of 1,000 samples)

    Args:
        probability: The risk. If it is known which samples are right: that the model loses more than ``drop`` against
            the float network, see :func:`~.posterior.paired_risk`, with the optimism of the choice taken off, see
            :func:`~.optimism.corrected`. Else by counts alone, see :func:`~.posterior.unpaired_risk`, as if nothing had
            been chosen.
        uncorrected: The same without the optimism.
        drop: What may be lost, a fraction.
        samples: Number of samples.
        lost: Samples that only the float network has right; None if only counts are known.
        gained: Samples that only the model has right; None if only counts are known.
        fresh: What was fresh in a second measurement, of which the risk knows, too; None if there was one only.
    """

    probability: float
    uncorrected: float
    drop: float
    samples: int
    lost: int | None = None
    gained: int | None = None
    fresh: Fresh | None = None

    @property
    def is_paired(self) -> bool:
        """Whether it is known which samples are right."""
        return self.lost is not None

    @property
    def percent(self) -> str:
        """The probability in whole percent, or that it is under 1% or over 99%."""
        if self.probability < 0.005:
            return "<1%"
        return ">99%" if self.probability > 0.995 else f"{100 * self.probability:.0f}%"

    def __str__(self) -> str:
        again = "" if self.fresh is None else f", {self.fresh.value} too"
        if self.is_paired:
            evidence = f"lost {self.lost}, gained {self.gained} of {self.samples:,} samples{again}"
        else:
            evidence = f"by counts of {self.samples:,} samples, not paired{again}"
        return f"risk {self.percent} of being under the floor ({evidence})"


@dataclass(frozen=True, eq=False)
class _Evidence:
    """A measurement of a model.

    Args:
        counts: Of the model.
        right: Which samples it has right, if that is known.
        reference: Which the float network has.
        floor: What its accuracy must reach.
    """

    counts: Counts
    right: Right | None
    reference: Right | None
    floor: float

    def and_those_of(self, other: _Evidence) -> _Evidence | None:
        """Both measurements as one; None if it is not known which samples are right."""
        if self.right is None or self.reference is None or other.right is None or other.reference is None:
            return None
        counts = Counts(self.counts.correct + other.counts.correct, self.counts.seen + other.counts.seen)
        right, reference = (self.right, other.right), (self.reference, other.reference)
        return _Evidence(counts, np.concatenate(right), np.concatenate(reference), other.floor)


class StudyRisk:
    """The risks of the models of a study.

    Example:
        >>> print(StudyRisk(study).of_trial(choice.trial_number))
        risk 1% of being under the floor (by counts of 1,000 samples, not paired)

    Args:
        study: The study, as it is now.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._trials = study.get_trials(deepcopy=False)
        self._floor = accuracy_floor(study)
        self._baseline = baseline_of(study)
        self._baseline_right = baseline_right_of(study)

    def of_trial(self, number: int) -> Risk | None:
        """The risk of a finished trial's model; None if the study has no floor, or the trial no counts."""
        record = TrialRecord(self._trials[number])
        if self._floor is None or record.counts is None:
            return None
        first = _Evidence(record.counts, record.right, self._baseline_right, self._floor)
        for fresh in Fresh:
            confirmation, reference = (confirmation_of(self._study, each, fresh) for each in (number, None))
            if confirmation is not None and reference is not None and self._drop is not None:
                floor = reference.counts.accuracy - self._drop
                again = _Evidence(confirmation.counts, confirmation.right, reference.right, floor)
                return self._of_two(first, again, fresh)
        return self._risk(first, self._optimism)

    @property
    def _drop(self) -> float | None:
        """What a model may lose."""
        if self._floor is None or self._baseline is None:
            return None
        return self._baseline.accuracy - self._floor

    def _of_two(self, first: _Evidence, again: _Evidence, fresh: Fresh) -> Risk:
        """The risk by two measurements: samples are added up, while new draws for the same samples replace the old."""
        if fresh is Fresh.DRAWS:
            return self._risk(again, self._optimism, fresh)
        both = first.and_those_of(again)
        # Of the choice among many, fresh samples know nothing: what remains is that among the confirmed.
        return self._risk(again if both is None else both, self._fresh_optimism, fresh)

    def _risk(self, evidence: _Evidence, optimism: float, fresh: Fresh | None = None) -> Risk:
        counts, right, reference = evidence.counts, evidence.right, evidence.reference
        if self._drop is None or right is None or reference is None or len(right) != len(reference):
            risk = unpaired_risk(counts.correct, counts.seen, evidence.floor)
            return Risk(risk, risk, self._drop or 0.0, counts.seen, fresh=fresh)
        lost, gained = int((reference & ~right).sum()), int((right & ~reference).sum())
        risk = paired_risk(lost, gained, len(right), self._drop)
        return Risk(corrected(risk, optimism), risk, self._drop, len(right), lost, gained, fresh)

    @cached_property
    def _optimism(self) -> float:
        """That of a choice among all finished trials."""
        records = [TrialRecord(trial) for trial in finished_trials(self._study)]
        return self._optimism_among(
            [(one.right, one.memory_kib) for one in records if one.duplicate_of is None], self._baseline_right
        )

    @cached_property
    def _fresh_optimism(self) -> float:
        """That of a choice among the models that were measured on fresh samples."""
        reference = confirmation_of(self._study, None, Fresh.SAMPLES)
        confirmed = confirmations_of(self._study, Fresh.SAMPLES)
        return self._optimism_among(
            [(one.right, TrialRecord(self._trials[number]).memory_kib) for number, one in confirmed.items()],
            None if reference is None else reference.right,
        )

    def _optimism_among(self, models: list[tuple[Right | None, float]], reference: Right | None) -> float:
        if reference is None or self._drop is None:
            return 0.0
        known = [(right, memory) for right, memory in models if right is not None and len(right) == len(reference)]
        if not known:
            return 0.0
        right, memory = zip(*known, strict=True)
        return Contest(np.stack(right), reference, np.array(memory), self._drop).optimism()
