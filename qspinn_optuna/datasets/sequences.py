"""Images as sequences: what a sensor sees of them, one row or pixel after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.datasets.images import LabeledImages


def sequences_of(images: LabeledImages, features: int) -> NDArray[np.uint8]:
    """Images from the top to the bottom, a few pixels at every time step.

    Example:
        >>> sequences_of(images[:2], features=28).shape
        (2, 28, 28)

    Args:
        images: Images, all of one size.
        features: Pixels of a step: the width of the images for a row a step, 1 for a pixel a step.

    Returns:
        uint8 [images, steps, features], a view of the pixels.

    Raises:
        ValueError: If ``features`` is under 1, or the pixels of an image are fewer than those of a step, or no multiple
            of them.
    """
    pixels = images.images.shape[1]
    if features < 1:
        raise ValueError(f"features must be at least 1 pixel a step, got {features}.")
    if pixels < features:
        raise ValueError(f"images must have at least the {features} pixels of one step, got {pixels}.")
    if pixels % features:
        raise ValueError(f"features must divide the {pixels} pixels of an image, got {features}.")
    return images.images.reshape(len(images), -1, features)
