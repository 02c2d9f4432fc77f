"""How neurons respond to the classes, and what a readout makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FLOOR = 0.01
"""Share of a class below which a neuron hardly speaks against it."""


@dataclass(frozen=True)
class ClassResponses:
    """Spikes of neurons in response to images of each class.

    Args:
        totals: Spikes, int64 [classes, neurons].
        images: Images of each class, int64 [classes].
    """

    totals: NDArray[np.int64]
    images: NDArray[np.int64]

    @classmethod
    def of(cls, counts: NDArray[np.int32], labels: NDArray[np.uint8], classes: int) -> ClassResponses:
        """Responses to labeled images.

        Args:
            counts: Spikes of each neuron in response to each image, [images, neurons].
            labels: Class of each image, [images].
            classes: Number of classes.
        """
        totals = np.stack([counts[labels == label].sum(axis=0, dtype=np.int64) for label in range(classes)])
        return cls(totals, np.bincount(labels, minlength=classes).astype(np.int64))

    def __add__(self, other: ClassResponses) -> ClassResponses:
        return ClassResponses(self.totals + other.totals, self.images + other.images)

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean response to an image of each class, [classes, neurons]; 0 to a class without images."""
        means: NDArray[np.float64] = self.totals / np.maximum(self.images, 1)[:, None]
        return means

    def labels(self) -> NDArray[np.uint8]:
        """The class to which each neuron responds most on average, the first of equals: uint8 [neurons]."""
        labels: NDArray[np.uint8] = self.means.argmax(axis=0).astype(np.uint8)
        return labels

    def class_weights(self) -> NDArray[np.float64]:
        """What a spike of each neuron says for each class, from 0 to 1: float64 [neurons, classes].

        With q the neuron's mean response to a class, as a share of those to all classes, it is
        ``log(q + 0.01) - log(0.01)`` as a share of the largest possible: the sum over the spikes of an image is the
        log-likelihood of a class, as of a naive Bayes classifier, but for a constant. A silent neuron has zeros.
        """
        means = self.means.T
        total = means.sum(axis=1, keepdims=True)
        shares = np.divide(means, total, out=np.zeros_like(means), where=total > 0)
        weights: NDArray[np.float64] = np.log1p(shares / _FLOOR) / np.log1p(1 / _FLOOR)
        return weights


@dataclass(frozen=True)
class FloatClassWeights:
    """The float network's readout by class weights.

    Args:
        weights: float64 [neurons, classes].
    """

    weights: NDArray[np.float64]

    def classify(self, counts: NDArray[np.integer]) -> NDArray[np.uint8]:
        """The class for which the spikes say most, the first of equals: uint8 [images] from [images, neurons]."""
        best: NDArray[np.uint8] = (counts @ self.weights).argmax(axis=1).astype(np.uint8)
        return best
