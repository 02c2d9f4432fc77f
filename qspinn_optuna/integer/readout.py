"""From spike counts, or scores, to classes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.integer.accumulators import Interval
from qspinn_optuna.integer.arrays import Array, array_of
from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.graph import Graph
from qspinn_optuna.integer.node import Node, check_integers, check_name, check_whole, frozen_array

_MOST_CLASSES = 256


@dataclass(frozen=True, eq=False)
class MeanResponse(Node):
    """Each neuron stands for a class; the class whose neurons spike most on average is the answer.

    Example:
        >>> MeanResponse(np.array([0, 0, 1]), classes=2).classify(np.array([[3, 1, 2], [1, 0, 1]]))
        array([0, 1], dtype=uint8)

    Args:
        labels: Class of each neuron, [neurons].
        classes: Number of classes, at most 256.

    Raises:
        TypeError: If ``labels`` is no array of integers, or ``classes`` no int.
        ValueError: If a label is no class.
    """

    labels: NDArray[np.integer]
    classes: int

    def __post_init__(self) -> None:
        check_whole("classes", self.classes, 1, _MOST_CLASSES)
        check_integers("labels", self.labels, 1)
        if self.labels.min() < 0 or self.labels.max() >= self.classes:
            raise ValueError(f"labels must be classes from 0 to {self.classes - 1}, got {self.labels}.")
        object.__setattr__(self, "labels", frozen_array(self.labels, np.uint8))

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return len(self.labels)

    @property
    def constant_bits(self) -> int:
        """Memory of the labels."""
        return len(self.labels) * max(1, (self.classes - 1).bit_length())

    def classify(self, counts: NDArray[np.integer]) -> NDArray[np.uint8]:
        """The class whose neurons respond most on average; the first of equals. A class without neurons responds 0.

        Means are compared by cross-multiplication, as a device without floats would.

        Args:
            counts: Spikes of each neuron in response to each image, [images, neurons].

        Returns:
            A class for each image, uint8 [images].
        """
        best = np.zeros(len(counts), np.int64)
        best_total, best_neurons = np.zeros(len(counts), np.int64), np.ones(len(counts), np.int64)
        for label in range(self.classes):
            members = self.labels == label
            total = counts[:, members].sum(axis=1, dtype=np.int64)
            neurons = max(int(members.sum()), 1)
            # The mean of class 0 is not above the 0 to begin with where it is 0, and the answer is class 0 then too.
            better = total * best_neurons > best_total * neurons
            best[better], best_total[better], best_neurons[better] = label, total[better], neurons
        return best.astype(np.uint8)


@dataclass(frozen=True, eq=False)
class WeightedResponse(Node):
    """Each spike of a neuron speaks for every class, by a weight; the class with the largest sum is the answer.

    Example:
        >>> weights = Codes(np.array([[3, 0], [0, 2]]), QFormat.parse("UQ2.0"))
        >>> WeightedResponse(weights).classify(np.array([[1, 2]]))
        array([1], dtype=uint8)

    Args:
        weights: Codes of the weights, [neurons, classes], at most 256 classes.

    Raises:
        TypeError: If ``weights`` are no codes.
        ValueError: If they have another shape.
    """

    weights: Codes

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Codes):
            raise TypeError(f"weights must be Codes, got {type(self.weights).__name__}.")
        if len(self.weights.shape) != 2 or self.weights.shape[1] > _MOST_CLASSES:
            raise ValueError(
                f"weights must have the shape [neurons, classes], at most {_MOST_CLASSES} classes, "
                f"got {self.weights.shape}."
            )

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return self.weights.shape[0]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.weights.shape[1]

    @property
    def constant_bits(self) -> int:
        """Memory of the weights."""
        return self.weights.bits

    def classify(self, counts: NDArray[np.integer]) -> NDArray[np.uint8]:
        """The class for which the spikes say most, the first of equals.

        Args:
            counts: Spikes of each neuron in response to each image, [images, neurons].

        Returns:
            A class for each image, uint8 [images].
        """
        scores = counts.astype(np.int64) @ self.weights.array.astype(np.int64)
        best: NDArray[np.uint8] = scores.argmax(axis=1).astype(np.uint8)
        return best


class Reduction(StrEnum):
    """What is kept of an array over the time steps.

    Example:
        >>> [reduction.value for reduction in Reduction]
        ['sum', 'last']
    """

    SUM = "sum"
    LAST = "last"


@dataclass(frozen=True, eq=False)
class LargestScore(Node):
    """The class with the largest score is the answer, the first of equals.

    Example:
        >>> model.readout.source in {array.name for array in model.network.arrays}
        True

    Args:
        source: Name of the array of scores, [classes].
        reduction: Over the time steps.
    """

    source: str
    reduction: Reduction

    def __post_init__(self) -> None:
        check_name("source", self.source)
        object.__setattr__(self, "reduction", Reduction(self.reduction))

    @property
    def constant_bits(self) -> int:
        """Nothing is looked up."""
        return 0

    def scores(self, graph: Graph, steps: int) -> Array:
        """What is known of the scores, which this array names.

        Args:
            graph: The network.
            steps: Time steps of a sample.

        Raises:
            ValueError: If the network has no such array, it is not [classes], or no accumulator is wide enough.
        """
        source = graph.array(self.source)
        if len(source.shape) != 1:
            raise ValueError(f"source must have the shape [classes], got {self.source!r} of shape {source.shape}.")
        codes = source.interval.times(Interval(1, steps)) if self.reduction is Reduction.SUM else source.interval
        return array_of("scores", source.shape, source.fraction_bits, codes)

    def classify(self, scores: NDArray[np.integer]) -> NDArray[np.int64]:
        """The class with the largest score.

        Args:
            scores: Of every class, [samples, classes].

        Returns:
            A class for each sample, int64 [samples].
        """
        best: NDArray[np.int64] = scores.argmax(axis=1).astype(np.int64)
        return best
