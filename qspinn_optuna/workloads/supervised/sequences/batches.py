"""Batches of images as sequences."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from qspinn_optuna.datasets import LabeledImages, sequences_of

_WHITE = 255.0


class SequenceBatches:
    """Batches of images as sequences, which can be iterated many times.

    Args:
        images: The images.
        features: Pixels of a step, see :func:`~qspinn_optuna.datasets.sequences_of`.
        batch_size: Samples of a batch; the last may have fewer.
        shuffle: Whether the order is drawn anew each time, from torch's global generator.

    Raises:
        ValueError: If ``batch_size`` is under 1, or the images cannot be cut into steps.
    """

    def __init__(self, images: LabeledImages, features: int, batch_size: int, *, shuffle: bool = False) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        self.sequences = sequences_of(images, features)
        self.labels = images.labels
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __len__(self) -> int:
        return math.ceil(len(self.labels) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Sequences, float32 [batch, steps, features] of 0 to 1, and labels, int64 [batch]."""
        sequences, labels = torch.from_numpy(self.sequences), torch.from_numpy(self.labels)
        order = torch.randperm(len(labels)) if self.shuffle else torch.arange(len(labels))
        for chosen in torch.split(order, self.batch_size):
            yield sequences[chosen].float() / _WHITE, labels[chosen].long()
