"""Count the correct answers of a network, trained or still in training."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np
import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna.config import InexactError
from qspinn_optuna.networks import freeze_network, sample_numbers
from qspinn_optuna.networks.running.watching import fresh_copy
from qspinn_optuna.workloads.answers import Answers
from qspinn_optuna.workloads.progress import TrainingProgress
from qspinn_optuna.workloads.supervised.training import Batches, Scores, check_batch, class_scores, labeled

Accuracy = Callable[[Tensor, Tensor], float]
"""The part of class scores, [batch, classes], that is right by labels, [batch]: between 0 and 1."""

Rightness = Callable[[Tensor, Tensor], Tensor]
"""Which of class scores, [batch, classes], are right by labels, [batch]: bool, [batch]."""

_RUNG_SAMPLES = 256
"""Samples that are counted at a rung, rounded up to whole batches."""


@torch.no_grad()
def count_correct(
    network: nn.Module,
    batches: Batches,
    first_sample: int = 0,
    *,
    accuracy: Accuracy,
    scores: Scores | None = None,
    rightness: Rightness | None = None,
) -> Iterator[tuple[int, int]]:
    """Count correct answers, batch by batch.

    Samples are numbered in their order, so that stochastic rounding gives the same counts in batches of any size.

    Args:
        network: Put into evaluation mode; its states are reset before each batch and at the end.
        batches: Inputs and labels.
        first_sample: Number of the first sample.
        accuracy: The part of a batch that is right.
        scores: Takes class scores out of the network's output; None if that is what it puts out.
        rightness: Which samples are right, where ``accuracy`` is the part that is; None if only that is known.

    Yields:
        (correct, seen) so far, after every batch; with ``rightness``, :class:`~qspinn_optuna.workloads.Answers`.

    Raises:
        InexactError: If ``accuracy`` gives no fraction since scores are not finite.
        TypeError: If ``accuracy`` gives no number, or the network, or ``scores``, no tensor.
        ValueError: If ``accuracy`` gives a number outside 0-1, or there are not as many scores as labels.
    """
    correct, seen = 0, 0
    right = np.empty(0, bool)
    network.eval()
    for batch in batches:
        inputs, labels = labeled(batch)
        functional.reset_net(network)
        numbers = range(first_sample + seen, first_sample + seen + len(labels))
        with sample_numbers(network, numbers) if len(labels) else contextlib.nullcontext():
            found = class_scores(network, inputs, scores)
        part = _part_correct(found, labels, accuracy)
        correct, seen = correct + round(part * len(labels)), seen + len(labels)
        if rightness is None:
            yield correct, seen
        else:
            right = np.concatenate([right, rightness(found, labels).cpu().numpy()])
            yield Answers(right)
    functional.reset_net(network)


def total_accuracy(network: nn.Module, batches: Batches, accuracy: Accuracy, scores: Scores | None = None) -> float:
    """The part of all samples that a network gets right; arguments and errors as in :func:`count_correct`.

    Raises:
        ValueError: Also if there are no samples.
    """
    correct, seen = _counted(network, batches, accuracy, scores)
    if seen == 0:
        raise ValueError("The batches hold no samples: an iterator may be used up; give a list or a DataLoader.")
    return correct / seen


def evaluate_at_rungs(
    training: Generator[tuple[float, nn.Module], None, nn.Module],
    rungs: Sequence[float],
    batches: Batches,
    accuracy: Accuracy,
    scores: Scores | None = None,
) -> Generator[TrainingProgress, None, nn.Module]:
    """Run a training of a quantized network, and evaluate a copy of the network at each rung.

    Args:
        training: Yields, at its pauses, the fraction that is done and the network.
        rungs: Fractions, rising; each is evaluated at the first pause that has reached it, unless that is the end.
        batches: The first of them are counted.
        accuracy: The part of a batch that is right.
        scores: Takes class scores out of the network's output.

    Yields:
        The accuracy at every rung.

    Returns:
        What ``training`` returns.
    """
    pending = list(rungs)
    with contextlib.closing(training):
        while True:
            try:
                done, network = next(training)
            except StopIteration as end:
                trained: nn.Module = end.value
                return trained
            while pending and pending[0] <= done < 1:
                frozen = freeze_network(fresh_copy(network))
                correct, seen = _counted(frozen, batches, accuracy, scores, _RUNG_SAMPLES)
                yield TrainingProgress(pending.pop(0), correct, seen)


def _counted(
    network: nn.Module, batches: Batches, accuracy: Accuracy, scores: Scores | None, enough: float = math.inf
) -> tuple[int, int]:
    """The counts of all batches, or of the first that hold ``enough`` samples."""
    counts = (0, 0)
    for counts in count_correct(network, batches, accuracy=accuracy, scores=scores):
        if counts[1] >= enough:
            break
    return counts


def _part_correct(scores: Tensor, labels: Tensor, accuracy: Accuracy) -> float:
    check_batch(scores, labels)
    given = accuracy(scores, labels)
    try:
        part = float(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"accuracy must give a number, got {given!r}.") from error
    if not 0 <= part <= 1:
        if not bool(scores.isfinite().all()):
            raise InexactError("The network's scores must be finite, got NaN or infinities, which have no accuracy.")
        raise ValueError(f"accuracy must give a fraction between 0 and 1, got {part!r}.")
    return part
