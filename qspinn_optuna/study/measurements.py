"""Configurations that were measured without a trial."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import optuna

from qspinn_optuna.study.attributes import StudyAttribute, read, write


@dataclass(frozen=True)
class Measurement:
    """Counts of a configuration that was measured without a trial.

    Args:
        params: The configuration, as :meth:`QuantizationSpace.params` returns it.
        correct: Correct answers.
        seen: Number of samples.

    Raises:
        ValueError: If not 0 <= correct <= seen > 0.
    """

    params: Mapping[str, Any]
    correct: int
    seen: int

    def __post_init__(self) -> None:
        for name in ("correct", "seen"):
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        object.__setattr__(self, "params", dict(self.params))
        if not 0 <= self.correct <= self.seen or self.seen == 0:
            raise ValueError(
                f"A measurement must have 0 <= correct <= seen > 0, got correct={self.correct} and seen={self.seen}."
            )


def record_measurements(study: optuna.Study, new: Iterable[Measurement]) -> None:
    """Add measurements to those that a study stores; samplers may learn from them.

    NOTE: only one process at a time should call it: if two do, the measurements of the first may be lost.
    """
    everything = [asdict(measurement) for measurement in (*measurements(study), *new)]
    write(study, StudyAttribute.MEASUREMENTS, everything)


def measurements(study: optuna.Study) -> list[Measurement]:
    """The measurements that a study stores."""
    return [Measurement(**entry) for entry in read(study, StudyAttribute.MEASUREMENTS) or []]
