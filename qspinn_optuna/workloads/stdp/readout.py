"""From the neurons' responses to classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign_labels(counts: NDArray[np.int32], labels: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    """The class to which each neuron responds most on average; the first of equals.

    Args:
        counts: Spikes of each neuron in response to each image, [images, neurons].
        labels: Class of each image, [images].
        classes: Number of classes.

    Returns:
        A class for each neuron, uint8 [neurons].
    """
    totals = np.stack([counts[labels == label].sum(axis=0) for label in range(classes)])
    images = np.bincount(labels, minlength=classes)
    best: NDArray[np.intp] = (totals / np.maximum(images, 1)[:, None]).argmax(axis=0)
    return best.astype(np.uint8)


def vote(counts: NDArray[np.int32], neuron_labels: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    """The class whose neurons respond most on average; the first of equals.

    Args:
        counts: Spikes of each neuron in response to each image, [images, neurons].
        neuron_labels: Class of each neuron, [neurons].
        classes: Number of classes.

    Returns:
        A class for each image, uint8 [images].
    """
    totals = np.stack([counts[:, neuron_labels == label].sum(axis=1) for label in range(classes)], axis=1)
    neurons = np.bincount(neuron_labels, minlength=classes)
    best: NDArray[np.intp] = (totals / np.maximum(neurons, 1)).argmax(axis=1)
    return best.astype(np.uint8)
