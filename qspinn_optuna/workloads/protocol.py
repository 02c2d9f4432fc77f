"""What the search needs of a workload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.parameters import Deployment, ParameterSpec
from qspinn_optuna.workloads.progress import TrainingProgress


class Workload(Protocol):
    """A network, its data and its training: what is quantized, and how good a quantization is.

    Implement it for a network of your own; nothing need be inherited.
    """

    @property
    def parameters(self) -> Sequence[ParameterSpec]:
        """What can be quantized. Ranges that only a trained network shows may have to wait for its training."""
        ...

    @property
    def deployment(self) -> Deployment:
        """What the device does; the space must be for the same."""
        ...

    @property
    def baseline(self) -> float:
        """Accuracy of the float network on the samples that :meth:`evaluate` counts, between 0 and 1."""
        ...

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[TrainingProgress | tuple[int, int]]:
        """Quantize by ``config`` and measure.

        Args:
            config: The quantization.
            seed: Of everything random.

        Yields:
            (correct, seen): correct answers among the samples seen so far. Before them, if the network is trained
            first, any number of :class:`TrainingProgress`. Whoever consumes them may stop early.
        """
        ...

    def describe(self) -> Mapping[str, Any]:
        """Plain values that JSON keeps, equal for workloads whose accuracies may be compared within a study."""
        ...
