"""Labeled images, split for training, validation and the final test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """Grey images and their classes.

    Example:
        >>> images = LabeledImages(np.full((2, 784), 255, np.uint8), np.array([3, 1], np.uint8))
        >>> len(images)
        2

    Args:
        images: uint8 [images, pixels].
        labels: uint8 [images].

    Raises:
        TypeError: If images or labels are not uint8.
        ValueError: If there are no images, the shapes do not fit, or all pixels are black.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        for name in ("images", "labels"):
            values = getattr(self, name)
            if not isinstance(values, np.ndarray) or values.dtype != np.uint8:
                kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
                raise TypeError(
                    f"{name} must be a uint8 array, got {kind}. LabeledImages.from_arrays converts other numbers."
                )
        if self.images.ndim != 2 or self.labels.ndim != 1 or len(self.images) != len(self.labels):
            raise ValueError(
                "images must be [images, pixels] and labels [images], "
                f"got {list(self.images.shape)} and {list(self.labels.shape)}."
            )
        if self.images.size == 0 or not self.images.any():
            raise ValueError(f"images must hold at least one pixel that is not black, got {list(self.images.shape)}.")

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the images and their labels."""
        return _digest([self])

    @classmethod
    def from_arrays(cls, images: NDArray[np.generic], labels: NDArray[np.generic]) -> LabeledImages:
        """Images [images, ...] and labels of any numeric type, with whole values within 0-255.

        Raises:
            ValueError: If there are no images, or a number is NaN, not whole or outside 0-255.
        """
        if len(images) == 0:
            raise ValueError("images must hold at least one image, got none.")
        flat = np.asarray(images).reshape(len(images), -1)
        return cls(_bytes("images", flat), _bytes("labels", np.asarray(labels)))

    def __getitem__(self, part: slice) -> LabeledImages:
        return LabeledImages(self.images[part], self.labels[part])


@dataclass(frozen=True, eq=False)
class ImageSplits:
    """Images for training, for validation, which every choice uses, and for the final test.

    Example:
        >>> data = ImageSplits(images[:60], images[60:80], images[80:])
        >>> len(data.with_train_size(50).train)
        50

    Args:
        train: Training images.
        validation: Held out of the training images; the search maximizes the accuracy on them.
        test: Used once, for the final accuracy.
        reserve: Training images that nothing is trained on, with which a choice can be confirmed; None if there are
            none.

    Raises:
        ValueError: If the images have different sizes.
    """

    train: LabeledImages
    validation: LabeledImages
    test: LabeledImages
    reserve: LabeledImages | None = None

    def __post_init__(self) -> None:
        splits = [self.train, self.validation, self.test, *([] if self.reserve is None else [self.reserve])]
        sizes = [split.images.shape[1] for split in splits]
        if len(set(sizes)) > 1:
            raise ValueError(f"Images of all splits must have the same number of pixels, got {sizes}.")

    @cached_property
    def classes(self) -> int:
        """Number of classes."""
        return int(max(split.labels.max() for split in (self.train, self.validation, self.test))) + 1

    @cached_property
    def fingerprint(self) -> str:
        """A digest of training and validation images and their labels."""
        return _digest([self.train, self.validation])

    def with_train_size(self, size: int) -> ImageSplits:
        """The same splits with only the first ``size`` training images; the others become the reserve.

        Raises:
            ValueError: If ``size`` is under 1 or more than there are.
        """
        if not 1 <= size <= len(self.train):
            raise ValueError(f"The train size must be between 1 and {len(self.train)}, got {size}.")
        images, labels = [self.train.images[size:]], [self.train.labels[size:]]
        if self.reserve is not None:
            images, labels = [*images, self.reserve.images], [*labels, self.reserve.labels]
        left_out = np.concatenate(images)
        # Nothing but black images would be refused.
        reserve = LabeledImages(left_out, np.concatenate(labels)) if left_out.any() else None
        return ImageSplits(self.train[:size], self.validation, self.test, reserve)


def _digest(splits: Iterable[LabeledImages]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        digest.update(repr(split.images.shape).encode())
        digest.update(np.ascontiguousarray(split.images).data)
        digest.update(np.ascontiguousarray(split.labels).data)
    return digest.hexdigest()[:16]


def _bytes(name: str, values: NDArray[np.generic]) -> NDArray[np.uint8]:
    whole = values.astype(np.float64)
    if not np.isfinite(whole).all():
        raise ValueError(f"{name} must be finite, got {int((~np.isfinite(whole)).sum())} NaN or infinite values.")
    wrong = whole[(whole != np.floor(whole)) | (whole < 0) | (whole > 255)]
    if len(wrong) > 0:
        raise ValueError(f"{name} must be whole numbers between 0 and 255, got {wrong[0]:g} among others.")
    return whole.astype(np.uint8)
