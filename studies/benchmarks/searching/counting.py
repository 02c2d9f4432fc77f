"""A workload that counts what a search costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qspinn_optuna import Deployment, ParameterSpec, QuantizationConfig, TrainingProgress, Workload


@dataclass
class CountingWorkload:
    """A workload that counts the samples it evaluates, and notes how far it trained.

    Args:
        workload: What evaluates.
        samples: Samples of all evaluations so far.
        progress: What the last evaluation said last of its training; None if it went on to its counts.
    """

    workload: Workload
    samples: int = field(default=0, init=False)
    progress: TrainingProgress | None = field(default=None, init=False)

    @property
    def parameters(self) -> Sequence[ParameterSpec]:
        """Those of the workload."""
        return self.workload.parameters

    @property
    def deployment(self) -> Deployment:
        """That of the workload."""
        return self.workload.deployment

    @property
    def baseline(self) -> float:
        """That of the workload."""
        return self.workload.baseline

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int] | TrainingProgress]:
        """The evaluation of the workload; what is not asked for is not counted."""
        before = self.samples
        for look in self.workload.evaluate(config, seed):
            if isinstance(look, TrainingProgress):
                self.progress = look
            else:
                self.progress = None
                self.samples = before + look[1]
            yield look

    def describe(self) -> Mapping[str, Any]:
        """That of the workload."""
        return self.workload.describe()
