"""What a whole evaluation counts, whether the workload tells of its training or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qspinn_optuna import QuantizationConfig, TrainingProgress, Workload


def counts_of(evaluation: Iterable[tuple[int, int] | TrainingProgress]) -> Iterator[tuple[int, int]]:
    """The counts of the quantized network at each look, without the progress of its training."""
    return (look for look in evaluation if not isinstance(look, TrainingProgress))


def whole_counts(workload: Workload, config: QuantizationConfig, seed: int) -> tuple[int, int]:
    """Correct answers and samples of a whole training and evaluation."""
    *_, counts = counts_of(workload.evaluate(config, seed))
    return counts


def whole_accuracy(workload: Workload, config: QuantizationConfig, seed: int) -> float:
    """Accuracy of a whole training and evaluation."""
    correct, seen = whole_counts(workload, config, seed)
    return correct / seen
