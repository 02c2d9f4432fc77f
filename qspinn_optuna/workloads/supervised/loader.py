"""Batches of event frames."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from qspinn_optuna.datasets.events import LabeledFrames


class FrameBatches:
    """Goes through labeled frames in batches, again and again.

    Args:
        data: The frames.
        batch_size: Samples of a batch; the last may have fewer.
        shuffle: Whether the order is drawn anew each time, from torch's global generator.
        shift: Pixels by which each sample is shifted at most, both ways, drawn too: augmentation for training.

    Raises:
        ValueError: If ``batch_size`` is under 1, or ``shift`` is negative.
    """

    def __init__(self, data: LabeledFrames, batch_size: int, *, shuffle: bool = False, shift: int = 0) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        if shift < 0:
            raise ValueError(f"shift must not be negative, got {shift}.")
        self.data = data
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.shift = shift
        self._frames = torch.from_numpy(data.frames)
        self._labels = torch.from_numpy(data.labels)

    def __len__(self) -> int:
        return -(-len(self._labels) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Frames, float32 [batch, steps, channels, height, width], and labels, int64 [batch]."""
        count = len(self._labels)
        order = torch.randperm(count) if self.shuffle else torch.arange(count)
        for chosen in order.split(self.batch_size):
            frames = self._frames[chosen]
            yield (self._shifted(frames) if self.shift else frames).float(), self._labels[chosen]

    def _shifted(self, frames: Tensor) -> Tensor:
        """Each sample moved by a random number of pixels; what leaves the frame is lost."""
        height, width = frames.shape[-2:]
        padded = torch.nn.functional.pad(frames, (self.shift,) * 4)
        corners = torch.randint(2 * self.shift + 1, (len(frames), 2)).tolist()
        return torch.stack(
            [sample[..., y : y + height, x : x + width] for sample, (y, x) in zip(padded, corners, strict=True)]
        )
