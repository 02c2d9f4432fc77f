"""The record of a trial: the only code that reads and writes its user attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.parameters import Footprint, Memory, kib_of
from qspinn_optuna.study.answers import Right, record_right, right_of_trial
from qspinn_optuna.study.objectives import accuracy_of, is_feasible, memory_of
from qspinn_optuna.study.storage import write_now
from qspinn_optuna.workloads import TrainingProgress


class Stage(StrEnum):
    """The stage of a trial at which a pruner stopped it."""

    TRAINING = "training"
    EVALUATION = "evaluation"


@dataclass(frozen=True)
class Counts:
    """Counts of an evaluation.

    Args:
        correct: Correct answers.
        seen: Number of samples.
    """

    correct: int
    seen: int

    @property
    def accuracy(self) -> float:
        """The share of correct answers."""
        return self.correct / self.seen


@dataclass(frozen=True)
class FootprintRecord:
    """Memory of a configuration as a trial stores it.

    Args:
        kib: Memory in KiB.
        baseline_kib: Memory of the 32-bit original in KiB.
        compression: How many times smaller the memory is than that of the original.
        by_parameter: Memory in bits by parameter.
        by_family: Memory in bits by family.
        memories: "flash" or "ram" by parameter; None if the trial is of a time when it was not stored.
    """

    kib: float
    baseline_kib: float
    compression: float
    by_parameter: Mapping[str, int]
    by_family: Mapping[str, int]
    memories: Mapping[str, str] | None = None

    @classmethod
    def of(cls, footprint: Footprint) -> FootprintRecord:
        """The record of a footprint."""
        by_family = {family.value: bits for family, bits in footprint.by_family.items()}
        memories = {name: memory.value for name, memory in footprint.memories.items()}
        return cls(
            footprint.kib, footprint.baseline_kib, footprint.compression, footprint.by_parameter, by_family, memories
        )

    @property
    def flash_kib(self) -> float | None:
        """Flash in KiB; None if it cannot be told from RAM."""
        return self._kib_in(Memory.FLASH)

    @property
    def ram_kib(self) -> float | None:
        """RAM in KiB; None if it cannot be told from flash."""
        return self._kib_in(Memory.RAM)

    def _kib_in(self, memory: Memory) -> float | None:
        if self.memories is None:
            return None
        return kib_of(sum(bits for name, bits in self.by_parameter.items() if self.memories[name] == memory))


class TrialRecord:
    """The user attributes of a trial as typed values; a missing attribute is None.

    Args:
        trial: A trial of any study, in any state.
    """

    def __init__(self, trial: FrozenTrial | optuna.Trial) -> None:
        self._trial = trial
        self._attributes: Mapping[str, Any] = trial.user_attrs

    @property
    def number(self) -> int:
        """Number of the trial."""
        return self._trial.number

    @property
    def params(self) -> Mapping[str, Any]:
        """The suggested parameters."""
        return self._trial.params

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """The distributions of the suggested parameters."""
        return self._trial.distributions

    @property
    def is_complete(self) -> bool:
        """Whether the trial has a configuration and a footprint, as trials of QuantizationObjective do."""
        return {"config", "footprint"} <= self._attributes.keys()

    def is_feasible(self, floor: float | None) -> bool:
        """Whether a finished trial reaches the accuracy floor and satisfies its constraints."""
        return is_feasible(self._finished, floor)

    @property
    def memory_kib(self) -> float:
        """The first objective of a finished trial."""
        return memory_of(self._finished)

    @property
    def accuracy(self) -> float:
        """The second objective of a finished trial, a fraction."""
        return accuracy_of(self._finished)

    @property
    def _finished(self) -> FrozenTrial:
        assert isinstance(self._trial, FrozenTrial)
        return self._trial

    @cached_property
    def config(self) -> QuantizationConfig | None:
        """The configuration, with its formats.

        Raises:
            ValueError: If the stored value is not a configuration.
        """
        kept = self._attributes.get("config")
        return None if kept is None else QuantizationConfig.from_dict(kept)

    @cached_property
    def footprint(self) -> FootprintRecord | None:
        """Memory of the configuration."""
        kept = self._attributes.get("footprint")
        return None if kept is None else FootprintRecord(**kept)

    @property
    def counts(self) -> Counts | None:
        """Counts of the evaluation, up to the pruning if the trial was pruned; None if they are impossible."""
        correct, seen = self._attributes.get("correct"), self._attributes.get("seen")
        if not (isinstance(correct, int) and isinstance(seen, int) and 0 <= correct <= seen and seen > 0):
            return None
        return Counts(correct, seen)

    @cached_property
    def right(self) -> Right | None:
        """Which samples a finished trial had right; None if only counts are known, or the two contradict each other."""
        right, counts = right_of_trial(self._finished), self.counts
        if right is None or counts is None or (int(right.sum()), len(right)) != (counts.correct, counts.seen):
            return None
        return right

    @property
    def samples(self) -> int | None:
        """Number of samples of the evaluation."""
        seen = self._attributes.get("seen")
        return seen if isinstance(seen, int) else None

    @property
    def seed(self) -> int | None:
        """Seed of the evaluation."""
        return self._attributes.get("seed")

    @property
    def workload(self) -> str | None:
        """Digest of the workload's description."""
        return self._attributes.get("workload")

    @property
    def seconds(self) -> float | None:
        """Seconds that the evaluation took."""
        return self._attributes.get("seconds")

    @property
    def duplicate_of(self) -> int | None:
        """Number of the finished duplicate whose result this trial took over."""
        return self._attributes.get("duplicate_of")

    @property
    def refused(self) -> str | None:
        """The reason why the workload cannot carry the configuration exactly."""
        return self._attributes.get("refused")

    @property
    def pruned_at(self) -> Stage | None:
        """The stage at which a pruner stopped the trial."""
        kept = self._attributes.get("pruned_at")
        return None if kept is None else Stage(kept)

    @property
    def pruned_because(self) -> str | None:
        """The reason why a pruner stopped the trial."""
        return self._attributes.get("pruned_because")

    @property
    def progress(self) -> tuple[TrainingProgress, ...]:
        """The rungs of the training, with their accuracies."""
        return tuple(TrainingProgress(**entry) for entry in self._attributes.get("training_progress", ()))


def attributes_of(
    config: QuantizationConfig,
    footprint: FootprintRecord,
    *,
    counts: Counts | None = None,
    seed: int = 0,
    workload: str = "",
) -> dict[str, Any]:
    """The user attributes of a trial, for example to create one with ``optuna.create_trial``.

    Args:
        config: The configuration.
        footprint: Memory of the configuration.
        counts: Counts of the evaluation, if there was one.
        seed: Seed of the evaluation.
        workload: Digest of the workload's description.
    """
    attributes = {"config": config.to_dict(), "footprint": asdict(footprint), "seed": seed, "workload": workload}
    return attributes if counts is None else {**attributes, **asdict(counts)}


def record_configuration(
    trial: optuna.Trial, config: QuantizationConfig, footprint: Footprint, *, seed: int, workload: str
) -> None:
    """Store in a running trial what it evaluates, before that may end its process; arguments as in attributes_of."""
    attributes = attributes_of(config, FootprintRecord.of(footprint), seed=seed, workload=workload)
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    write_now(trial)


def record_counts(trial: optuna.Trial, counts: Counts, right: Right | None = None) -> None:
    """Store in a trial the counts of its evaluation, and which samples are right, if that is known."""
    if right is not None:
        record_right(trial, right)
    for name, value in asdict(counts).items():
        trial.set_user_attr(name, value)


def record_seconds(trial: optuna.Trial, seconds: float) -> None:
    """Store in a trial the seconds that its evaluation took."""
    trial.set_user_attr("seconds", round(seconds, 3))


def record_duplicate(trial: optuna.Trial, of: int) -> None:
    """Store in a trial the number of the finished duplicate whose result it takes over."""
    trial.set_user_attr("duplicate_of", of)


def record_refusal(trial: optuna.Trial, reason: str) -> None:
    """Store in a trial the reason why the workload cannot carry its configuration exactly."""
    trial.set_user_attr("refused", reason)


def record_pruning(trial: optuna.Trial, stage: Stage, reason: str) -> None:
    """Store in a trial the stage at which a pruner stopped it, and the reason."""
    trial.set_user_attr("pruned_at", stage.value)
    trial.set_user_attr("pruned_because", reason)


def record_progress(trial: optuna.Trial, progress: TrainingProgress) -> tuple[TrainingProgress, ...]:
    """Store a further rung in a trial; returns all its rungs."""
    rungs = (*TrialRecord(trial).progress, progress)
    trial.set_user_attr("training_progress", [asdict(rung) for rung in rungs])
    return rungs
