"""Batches of event frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from qspinn_optuna.datasets.events import LabeledFrames, reverse_half
from qspinn_optuna.workloads.supervised.fingerprints import fingerprint


class FrameBatches:
    """Batches of labeled frames, which can be iterated many times.

    Example:
        >>> frames = LabeledFrames(np.zeros((10, 5, 1, 16, 16), np.uint8), np.arange(10) % 2)
        >>> inputs, labels = next(iter(FrameBatches(frames, batch_size=1)))
        >>> inputs.shape
        torch.Size([1, 5, 1, 16, 16])

    Args:
        data: The frames.
        batch_size: Samples of a batch; the last may have fewer.
        shuffle: Whether the order is drawn anew each time, from torch's global generator.
        shift: Augmentation for training: each sample is shifted by a random number of pixels, at most so many, in both
            directions.
        reversals: Augmentation for training: each sample is played backwards with probability 1/2, and gets the class
            that the mapping gives for its own; see :func:`~qspinn_optuna.datasets.reverse_half`. Classes that are not
            in the mapping stay the same.

    Raises:
        ValueError: If ``batch_size`` is under 1, or ``shift`` is negative.
    """

    def __init__(
        self,
        data: LabeledFrames,
        batch_size: int,
        *,
        shuffle: bool = False,
        shift: int = 0,
        reversals: Mapping[int, int] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        if shift < 0:
            raise ValueError(f"shift must not be negative, got {shift}.")
        self.data = data
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.shift = shift
        self.reversals = reversals

    @property
    def fingerprint(self) -> str:
        """A digest of the frames, their labels and all settings."""
        return fingerprint(vars(self))

    def __len__(self) -> int:
        return math.ceil(len(self.data) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Frames, float32 [batch, steps, channels, height, width], and labels, int64 [batch]."""
        all_frames, all_labels = torch.from_numpy(self.data.frames), torch.from_numpy(self.data.labels)
        order = torch.randperm(len(self.data)) if self.shuffle else torch.arange(len(self.data))
        for chosen in torch.split(order, self.batch_size):
            frames, labels = all_frames[chosen], all_labels[chosen]
            if self.reversals is not None:
                frames, labels = self._reversed(frames, labels)
            yield (self._shifted(frames) if self.shift else frames).float(), labels

    def _reversed(self, frames: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        seed = int(torch.randint(2**31, ()))
        made = reverse_half(LabeledFrames(frames.numpy(), labels.numpy()), self.reversals or {}, seed)
        return torch.from_numpy(made.frames), torch.from_numpy(made.labels)

    def _shifted(self, frames: Tensor) -> Tensor:
        """Each sample moved by a random number of pixels; pixels that leave the frame are lost."""
        height, width = frames.shape[-2:]
        padded = torch.nn.functional.pad(frames, (self.shift,) * 4)
        corners = torch.randint(2 * self.shift + 1, (len(frames), 2)).tolist()
        return torch.stack(
            [sample[..., y : y + height, x : x + width] for sample, (y, x) in zip(padded, corners, strict=True)]
        )
