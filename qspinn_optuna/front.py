"""The Pareto front of a study."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.study import check_directions, check_floor, is_feasible


@dataclass(frozen=True, repr=False)
class Candidate:
    """A quantized network that was measured.

    Args:
        trial_number: Number of its trial.
        config: Its quantization.
        memory_kib: Its memory.
        compression: How many times smaller than the 32-bit original it is.
        accuracy: Its accuracy, a fraction.
        samples: On how many samples that was measured; None if its trial does not say.
    """

    trial_number: int
    config: QuantizationConfig
    memory_kib: float
    compression: float
    accuracy: float
    samples: int | None = None

    def __repr__(self) -> str:
        return f"Candidate({self.summary})"

    @property
    def summary(self) -> str:
        """In a few words."""
        return (
            f"trial {self.trial_number}: {self.config.scheme.value}, {self.compression:.2f}x, "
            f"{100 * self.accuracy:.2f} %"
        )

    @property
    def standard_error(self) -> float | None:
        """Of the accuracy, from the number of samples; None if that is not known."""
        if self.samples is None:
            return None
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.samples)

    def to_dict(self) -> dict[str, Any]:
        """The candidate as JSON keeps it; ``rounding`` is one for all parameters, or one for each."""
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


@dataclass(frozen=True)
class ParetoFront:
    """The candidates that no other one beats in memory and accuracy at once, from the smallest to the most accurate.

    Args:
        candidates: In ascending order of memory, and so of accuracy.
        baseline_kib: Memory of the 32-bit original.
    """

    candidates: tuple[Candidate, ...]
    baseline_kib: float

    def __len__(self) -> int:
        return len(self.candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.candidates)

    @classmethod
    def from_study(
        cls,
        study: optuna.Study,
        *,
        accuracy_floor: float | None = None,
        where: Callable[[QuantizationConfig], bool] | None = None,
    ) -> ParetoFront:
        """The front of the finished and feasible trials of a study; of equal points the first is kept.

        Args:
            study: A study of :class:`~qspinn_optuna.QuantizationObjective`.
            accuracy_floor: Accuracy under which a trial is left out, instead of the constraints the trials keep.
            where: Which configurations to consider; all if not given.

        Raises:
            ValueError: If the study has other objectives, trials of another program, or no feasible trial.
        """
        check_directions(study)
        check_floor(accuracy_floor)
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        finished = [trial for trial in finished if all(math.isfinite(value) for value in trial.values)]
        if where is not None:
            finished = [trial for trial in finished if where(_config(trial))]
        feasible = [trial for trial in finished if is_feasible(trial, accuracy_floor)]
        if not feasible:
            raise ValueError(_why_empty(study.study_name, finished, accuracy_floor))
        candidates = [_candidate(trial) for trial in _nondominated(feasible)]
        return cls(tuple(candidates), float(feasible[0].user_attrs["footprint"]["baseline_kib"]))


def _nondominated(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that no other dominates, by memory; of equal ones the first."""
    front: list[FrozenTrial] = []
    for trial in sorted(trials, key=lambda trial: (trial.values[0], -trial.values[1], trial.number)):
        # NOTE: in this order a trial is dominated, or seen, unless it is more accurate than all before it.
        if not front or trial.values[1] > front[-1].values[1]:
            front.append(trial)
    return front


def _config(trial: FrozenTrial) -> QuantizationConfig:
    if "config" not in trial.user_attrs or "footprint" not in trial.user_attrs:
        raise ValueError(
            f"Trial {trial.number} has no user attributes 'config' and 'footprint': was it made by another objective "
            "than QuantizationObjective?"
        )
    return QuantizationConfig.from_dict(trial.user_attrs["config"])


def _candidate(trial: FrozenTrial) -> Candidate:
    config = _config(trial)
    memory_kib, accuracy = trial.values
    compression, samples = trial.user_attrs["footprint"]["compression"], trial.user_attrs.get("seen")
    return Candidate(trial.number, config, memory_kib, compression, accuracy, samples)


def _why_empty(name: str, finished: list[FrozenTrial], accuracy_floor: float | None) -> str:
    if not finished:
        return f"Study {name!r} has no finished trial to make a front of: run study.optimize first."
    best = max(finished, key=lambda trial: float(trial.values[1]))
    missing = max(best.constraints.values(), default=0.0)
    if accuracy_floor is not None:
        missing = accuracy_floor - best.values[1]
    return (
        f"Study {name!r} has no feasible trial: the most accurate, trial {best.number} with {best.values[1]:.2%}, is "
        f"{100 * missing:.2f} points under the accuracy floor. Lower the floor, widen the widths or run more trials."
    )
