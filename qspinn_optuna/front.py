"""The Pareto front of a study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.parameters import format_kib, round_up_kib
from qspinn_optuna.study import (
    TrialRecord,
    accuracy_floor,
    accuracy_of,
    check_directions,
    finished_trials,
    fit_of,
    footprint_of,
    is_feasible,
)
from qspinn_optuna.tables import format_table, markdown_table
from qspinn_optuna.targets import Fit, Target

_Point = TypeVar("_Point")


@dataclass(frozen=True, repr=False)
class Candidate:
    """A quantized network with its measured accuracy.

    Example:
        >>> front.candidates[0]
        Candidate(trial 8: ptq, 7.99x, 87.60 %)
        >>> front.candidates[0].standard_error < 0.02
        True

    Args:
        trial_number: Number of its trial.
        config: Its quantization.
        memory_kib: Its memory in KiB.
        compression: How many times smaller it is than the 32-bit original.
        accuracy: Its accuracy, a fraction.
        samples: Number of samples of the accuracy; None if it is unknown.
        flash_kib: The part of its memory that is flash, in KiB; None if it cannot be told from RAM.
        ram_kib: The part of its memory that is RAM, in KiB; None if it cannot be told from flash.
    """

    trial_number: int
    config: QuantizationConfig
    memory_kib: float
    compression: float
    accuracy: float
    samples: int | None = None
    flash_kib: float | None = None
    ram_kib: float | None = None

    def __repr__(self) -> str:
        return f"Candidate({self.summary})"

    @property
    def summary(self) -> str:
        """Trial, scheme, compression and accuracy on one line."""
        return (
            f"trial {self.trial_number}: {self.config.scheme.value}, {self.compression:.2f}x, "
            f"{100 * self.accuracy:.2f} %"
        )

    @property
    def flash_and_ram(self) -> str:
        """Flash and RAM in words; empty if they cannot be told apart."""
        if self.flash_kib is None or self.ram_kib is None:
            return ""
        return f"flash {format_kib(self.flash_kib)} KiB, RAM {format_kib(self.ram_kib)} KiB"

    @property
    def standard_error(self) -> float | None:
        """Standard error of the accuracy, from the number of samples; None if that is unknown."""
        if self.samples is None:
            return None
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.samples)

    def to_dict(self) -> dict[str, Any]:
        """The candidate as plain values for JSON; ``rounding`` is one for all parameters, or one for each."""
        roundings = {name: rounding.value for name, rounding in self.config.roundings.items()}
        common = set(roundings.values())
        return {
            "trial": self.trial_number,
            "scheme": self.config.scheme.value,
            "rounding": common.pop() if len(common) == 1 else roundings,
            "bits": self.config.bits,
            "memory_kib": self.memory_kib,
            "compression": self.compression,
            "accuracy": self.accuracy,
        }


_HEADER = ("trial", "scheme", "KiB", "smaller", "accuracy")


def _row(candidate: Candidate) -> list[str]:
    return [
        str(candidate.trial_number),
        candidate.config.scheme.value,
        f"{candidate.memory_kib:.2f}",
        f"{candidate.compression:.2f}x",
        f"{candidate.accuracy:.2%}",
    ]


@dataclass(frozen=True, repr=False)
class ParetoFront:
    """The nondominated candidates of a study, from the smallest to the most accurate; printed, it is a table.

    Example:
        >>> front = ParetoFront.from_study(study)
        >>> front
        ParetoFront(6 models, from 7.99x to 4.00x smaller)
        >>> [candidate.trial_number for candidate in front]
        [8, 14, 4, 17, 9, 5]

    Args:
        candidates: The candidates, by ascending memory and accuracy.
        baseline_kib: Memory of the 32-bit original in KiB.
        accuracy_floor: Accuracy that all candidates reach, a fraction; None if the study has no floor.
    """

    candidates: tuple[Candidate, ...]
    baseline_kib: float
    accuracy_floor: float | None = None

    def __repr__(self) -> str:
        models = f"{len(self)} model{'s' if len(self) != 1 else ''}"
        smallest = f", from {self.candidates[0].compression:.2f}x to {self.candidates[-1].compression:.2f}x smaller"
        return f"ParetoFront({models}{smallest if self.candidates else ''})"

    def __str__(self) -> str:
        return format_table(_HEADER, [*map(_row, self)])

    def _repr_markdown_(self) -> str:
        return markdown_table(_HEADER, [*map(_row, self)])

    def __len__(self) -> int:
        return len(self.candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.candidates)

    @classmethod
    def from_study(
        cls,
        study: optuna.Study,
        *,
        where: Callable[[QuantizationConfig], bool] | None = None,
        target: Target | None = None,
        feasible_only: bool = True,
    ) -> ParetoFront:
        """The front of the finished and feasible trials of a study; of equal points, the first trial stays.

        A trial is feasible if it reaches the accuracy floor of the study and satisfies its constraints.

        With a target, the front is that of the models that fit it, from which any selector chooses. Some of them may
        not be on the front of all models: there, one of less memory but more RAM can dominate them.

        Args:
            study: A study of :class:`~qspinn_optuna.QuantizationObjective`.
            where: Whether to consider a configuration; all are considered if not given.
            target: The device that models must fit; all are considered if not given.
            feasible_only: Whether models must reach the accuracy floor; if not, the front has no floor.

        Raises:
            ValueError: If the study has other objectives, trials of another program, or no feasible trial, or none that
                fits. The message names the reason: what was refused or pruned and why, how far the best trial is below
                the floor, or the least that the target would need.
        """
        check_directions(study)
        # A floor that all reach leaves the other constraints.
        floor = accuracy_floor(study) if feasible_only else 0.0
        finished = finished_trials(study)
        if where is not None:
            finished = [trial for trial in finished if where(_config(TrialRecord(trial)))]
        feasible = [TrialRecord(trial) for trial in finished if is_feasible(trial, floor)]
        if not feasible:
            raise _why_empty(study, finished, floor)
        if target is not None:
            feasible = _fitting(study, feasible, target)
        ordered = nondominated(feasible, lambda record: (record.memory_kib, record.accuracy, record.number))
        candidates = tuple(_candidate(study, record) for record in ordered)
        return cls(candidates, _baseline_kib(feasible[0]), floor if feasible_only else None)


def nondominated(points: Iterable[_Point], key: Callable[[_Point], tuple[float, float, int]]) -> list[_Point]:
    """The nondominated points, by ascending memory.

    Example:
        >>> points = [(2.0, 0.9), (1.0, 0.8), (3.0, 0.85)]
        >>> nondominated(points, key=lambda point: (*point, 0))
        [(1.0, 0.8), (2.0, 0.9)]

    Args:
        points: The points.
        key: Memory, accuracy and number of a point; of equal points, the one with the smallest number stays.
    """
    front: list[_Point] = []
    best = -math.inf

    def order(point: _Point) -> tuple[float, float, int]:
        memory, accuracy, number = key(point)
        return memory, -accuracy, number

    for point in sorted(points, key=order):
        # NOTE: in this order a point is dominated or a duplicate unless it is more accurate than all before it.
        accuracy = key(point)[1]
        if accuracy > best:
            front.append(point)
            best = accuracy
    return front


def check_front(front: ParetoFront) -> None:
    """Refuse a front that no selector can choose from and no figure can show; fronts of studies always pass.

    Example:
        >>> check_front(front)

    Raises:
        TypeError: If ``front`` is not a front.
        ValueError: If it is empty, or one of its numbers is impossible, such as an accuracy of NaN.
    """
    if not isinstance(front, ParetoFront):
        raise TypeError(
            f"front must be a ParetoFront, such as ParetoFront.from_study(study), got {type(front).__name__}."
        )
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
    if not _is_size(candidate.compression):
        raise ValueError(f"front must have compressions over 0, got {candidate.compression!r} of trial {number}.")
    if not 0 <= candidate.accuracy <= 1:
        raise ValueError(
            f"front must have accuracies that are fractions between 0 and 1, got {candidate.accuracy!r} of trial "
            f"{number}."
        )
    if candidate.samples is not None and candidate.samples <= 0:
        raise ValueError(
            f"front must have accuracies of at least one sample, or None if the number is unknown, got "
            f"{candidate.samples!r} of trial {number}."
        )
    for name, part in (("flash", candidate.flash_kib), ("RAM", candidate.ram_kib)):
        if part is not None and not 0 <= part <= candidate.memory_kib:
            raise ValueError(
                f"front must have {name} between 0 and the memory of {candidate.memory_kib!r} KiB, or None if it is "
                f"unknown, got {part!r} of trial {number}."
            )


def _is_size(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _config(record: TrialRecord) -> QuantizationConfig:
    if record.config is None or record.footprint is None:
        raise ValueError(
            f"Trial {record.number} must have the configuration and the footprint that QuantizationObjective stores, "
            "got one that another program added: search in a study of another name."
        )
    return record.config


def _baseline_kib(record: TrialRecord) -> float:
    assert record.footprint is not None
    return float(record.footprint.baseline_kib)


def _candidate(study: optuna.Study, record: TrialRecord) -> Candidate:
    config, footprint = _config(record), footprint_of(study, record)
    assert footprint is not None
    return Candidate(
        record.number,
        config,
        record.memory_kib,
        footprint.compression,
        record.accuracy,
        record.samples,
        footprint.flash_kib,
        footprint.ram_kib,
    )


def _fitting(study: optuna.Study, feasible: list[TrialRecord], target: Target) -> list[TrialRecord]:
    """The trials whose models fit a target, at least one."""
    fits = {record.number: fit_of(study, record, target) for record in feasible}
    known = {number: fit for number, fit in fits.items() if fit is not None}
    fitting = [record for record in feasible if record.number in known and known[record.number].fits]
    if not fitting:
        raise ValueError(f"No feasible model of study {study.study_name!r} fits {target}: {_least(known, target)}.")
    return fitting


def _least(fits: Mapping[int, Fit], target: Target) -> str:
    """What a target would need at least for one of the models."""
    if not fits:
        return "its trials do not tell flash from RAM; run them again as another study"
    possible = {number: fit for number, fit in fits.items() if fit.is_possible}
    if not possible:
        able = " or ".join(rounding.value for rounding in target.roundings)
        return f"all of them need another rounding at run time than {able}"
    number, least = min(possible.items(), key=lambda entry: (entry[1].load, entry[0]))
    return (
        f"the least is what trial {number} needs, {_enough(least.flash_kib)} KiB of flash and "
        f"{_enough(least.ram_kib)} KiB of RAM, before code and buffers"
    )


def _enough(kib: float) -> str:
    # Rounded up, since a memory copied from a rounded one would be refused again.
    return format_kib(round_up_kib(kib)) if kib > 0 else "0"


class InfeasibleError(ValueError):
    """No trial of a study is feasible.

    Example:
        >>> print(InfeasibleError("The most accurate trial is 1.00 points under the floor.", accuracy=0.9))
        The most accurate trial is 1.00 points under the floor. Lower the floor, widen the widths or run more trials.

    Args:
        fact: How far the most accurate one is from that.
        accuracy: Its accuracy, a fraction.
    """

    def __init__(self, fact: str, accuracy: float) -> None:
        super().__init__(fact, accuracy)
        self.fact = fact
        self.accuracy = accuracy

    def __str__(self) -> str:
        return f"{self.fact} Lower the floor, widen the widths or run more trials."


def _why_empty(study: optuna.Study, finished: list[FrozenTrial], floor: float | None) -> ValueError:
    name = study.study_name
    if not finished:
        return ValueError(_why_unfinished(study))
    best = max(finished, key=accuracy_of)
    missing = max(best.constraints.values(), default=0.0) if floor is None else floor - accuracy_of(best)
    if floor is not None and missing <= 0:
        return ValueError(
            f"Study {name!r} has no feasible trial: every trial that reaches the floor violates another constraint."
        )
    return InfeasibleError(
        f"Study {name!r} has no feasible trial: the most accurate, trial {best.number} with {accuracy_of(best):.2%}, "
        f"is {100 * missing:.2f} points under the accuracy floor.",
        accuracy_of(best),
    )


def _why_unfinished(study: optuna.Study) -> str:
    """The message for a study without finished trials: how its trials ended."""
    records = [TrialRecord(trial) for trial in study.get_trials(deepcopy=False, states=(TrialState.PRUNED,))]
    refused = Counter(record.refused for record in records if record.refused is not None)
    stopped = Counter(record.pruned_because for record in records if record.pruned_because is not None)
    failed = len(study.get_trials(deepcopy=False, states=(TrialState.FAIL,)))
    parts = []
    if refused:
        parts.append(
            f"{refused.total()} refused, since the workload cannot carry the configuration exactly: "
            f"{refused.most_common(1)[0][0]}"
        )
    if stopped:
        parts.append(f"{stopped.total()} stopped by the pruner, such as: {stopped.most_common(1)[0][0]}")
    if failed:
        parts.append(f"{failed} failed or were interrupted")
    if not parts:
        return f"Study {study.study_name!r} has no finished trial to make a front of: run some trials first."
    return f"Study {study.study_name!r} has no finished trial to make a front of: {'; '.join(parts)}"
