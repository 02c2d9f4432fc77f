"""What a trial keeps: the only code that reads and writes its user attributes."""

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
from qspinn_optuna.parameters import Footprint
from qspinn_optuna.study.objectives import accuracy_of, is_feasible, memory_of
from qspinn_optuna.workloads import TrainingProgress


class Stage(StrEnum):
    """When a pruner stopped a trial."""

    TRAINING = "training"
    EVALUATION = "evaluation"


@dataclass(frozen=True)
class Counts:
    """Answers of an evaluation.

    Args:
        correct: Correct answers.
        seen: Samples that were answered.
    """

    correct: int
    seen: int

    @property
    def accuracy(self) -> float:
        """The part of the answers that is correct."""
        return self.correct / self.seen


@dataclass(frozen=True)
class FootprintRecord:
    """Memory of a configuration as a trial keeps it.

    Args:
        kib: Memory in KiB.
        baseline_kib: Memory of the 32-bit original in KiB.
        compression: How many times smaller than the original it is.
        by_parameter: Memory in bits by parameter.
        by_family: Memory in bits by family.
    """

    kib: float
    baseline_kib: float
    compression: float
    by_parameter: Mapping[str, int]
    by_family: Mapping[str, int]

    @classmethod
    def of(cls, footprint: Footprint) -> FootprintRecord:
        """The record of a footprint."""
        by_family = {family.value: bits for family, bits in footprint.by_family.items()}
        return cls(footprint.kib, footprint.baseline_kib, footprint.compression, footprint.by_parameter, by_family)


class TrialRecord:
    """What a trial keeps, typed. What it does not keep is None.

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
        """What the sampler suggested."""
        return self._trial.params

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """What the sampler suggested from."""
        return self._trial.distributions

    @property
    def is_complete(self) -> bool:
        """Whether the trial keeps its configuration and footprint, as QuantizationObjective leaves it."""
        return {"config", "footprint"} <= self._attributes.keys()

    def is_feasible(self, floor: float | None) -> bool:
        """Whether a finished trial reaches the accuracy floor of its study and keeps its constraints."""
        return is_feasible(self._finished, floor)

    @property
    def memory_kib(self) -> float:
        """Its first objective; only of a finished trial."""
        return memory_of(self._finished)

    @property
    def accuracy(self) -> float:
        """Its second objective; only of a finished trial."""
        return accuracy_of(self._finished)

    @property
    def _finished(self) -> FrozenTrial:
        assert isinstance(self._trial, FrozenTrial)
        return self._trial

    @cached_property
    def config(self) -> QuantizationConfig | None:
        """The configuration, with its formats.

        Raises:
            ValueError: If what the trial keeps is not a configuration.
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
        """Answers of the evaluation, or of what there was of it before the trial was pruned."""
        correct, seen = self._attributes.get("correct"), self._attributes.get("seen")
        if not (isinstance(correct, int) and isinstance(seen, int) and 0 <= correct <= seen and seen > 0):
            return None
        return Counts(correct, seen)

    @property
    def samples(self) -> int | None:
        """Samples that the evaluation has seen."""
        seen = self._attributes.get("seen")
        return seen if isinstance(seen, int) else None

    @property
    def seed(self) -> int | None:
        """Seed of the evaluation."""
        return self._attributes.get("seed")

    @property
    def workload(self) -> str | None:
        """Digest of what the workload says of itself."""
        return self._attributes.get("workload")

    @property
    def seconds(self) -> float | None:
        """How long the evaluation took."""
        return self._attributes.get("seconds")

    @property
    def duplicate_of(self) -> int | None:
        """Number of the trial whose result this one took over."""
        return self._attributes.get("duplicate_of")

    @property
    def refused(self) -> str | None:
        """Why the workload could not carry the configuration exactly."""
        return self._attributes.get("refused")

    @property
    def pruned_at(self) -> Stage | None:
        """When a pruner stopped the trial."""
        kept = self._attributes.get("pruned_at")
        return None if kept is None else Stage(kept)

    @property
    def pruned_because(self) -> str | None:
        """Why a pruner stopped the trial."""
        return self._attributes.get("pruned_because")

    @property
    def progress(self) -> tuple[TrainingProgress, ...]:
        """Accuracies at the rungs of its training."""
        return tuple(TrainingProgress(**entry) for entry in self._attributes.get("training_progress", ()))


def attributes_of(
    config: QuantizationConfig,
    footprint: FootprintRecord,
    *,
    counts: Counts | None = None,
    seed: int = 0,
    workload: str = "",
) -> dict[str, Any]:
    """User attributes of a trial, such as ``optuna.create_trial`` takes for one that was evaluated elsewhere.

    Args:
        config: Its configuration.
        footprint: Memory of the configuration.
        counts: Answers of its evaluation, if there was one.
        seed: Seed of the evaluation.
        workload: Digest of what the workload says of itself.
    """
    attributes = {"config": config.to_dict(), "footprint": asdict(footprint), "seed": seed, "workload": workload}
    return attributes if counts is None else {**attributes, **asdict(counts)}


def record_configuration(
    trial: optuna.Trial, config: QuantizationConfig, footprint: Footprint, *, seed: int, workload: str
) -> None:
    """Keep with a running trial what is evaluated; arguments as in :func:`attributes_of`."""
    attributes = attributes_of(config, FootprintRecord.of(footprint), seed=seed, workload=workload)
    for name, value in attributes.items():
        trial.set_user_attr(name, value)


def record_counts(trial: optuna.Trial, counts: Counts) -> None:
    """Keep with a trial the answers of its evaluation."""
    for name, value in asdict(counts).items():
        trial.set_user_attr(name, value)


def record_seconds(trial: optuna.Trial, seconds: float) -> None:
    """Keep with a trial how long its evaluation took."""
    trial.set_user_attr("seconds", round(seconds, 3))


def record_duplicate(trial: optuna.Trial, of: int) -> None:
    """Keep with a trial that its result is that of an earlier one."""
    trial.set_user_attr("duplicate_of", of)


def record_refusal(trial: optuna.Trial, reason: str) -> None:
    """Keep with a trial why the workload cannot carry its configuration exactly."""
    trial.set_user_attr("refused", reason)


def record_pruning(trial: optuna.Trial, stage: Stage, reason: str) -> None:
    """Keep with a trial when and why a pruner stopped it."""
    trial.set_user_attr("pruned_at", stage.value)
    trial.set_user_attr("pruned_because", reason)


def record_progress(trial: optuna.Trial, progress: TrainingProgress) -> tuple[TrainingProgress, ...]:
    """Add a rung to those that a trial keeps; returns all of them."""
    rungs = (*TrialRecord(trial).progress, progress)
    trial.set_user_attr("training_progress", [asdict(rung) for rung in rungs])
    return rungs
