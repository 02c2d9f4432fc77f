"""The class for which each neuron stands."""

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
