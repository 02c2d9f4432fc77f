"""Binary frames of event recordings, split for training, validation and the final test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.datasets.events.recording import EventRecording


@dataclass(frozen=True, eq=False)
class LabeledFrames:
    """Binary frames and their classes.

    Example:
        >>> frames = LabeledFrames(np.zeros((10, 5, 1, 16, 16), np.uint8), np.arange(10) % 2)
        >>> frames.frames.shape, frames.labels
        ((10, 5, 1, 16, 16), array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1]))

    Args:
        frames: 0 or 1, uint8 [samples, steps, channels, height, width].
        labels: int64 [samples], from 0.

    Raises:
        TypeError: If the frames are not uint8, or the labels not int64.
        ValueError: If there are no samples, the shapes do not fit, or a number is out of range.
    """

    frames: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name, values, kind in (("frames", self.frames, np.uint8), ("labels", self.labels, np.int64)):
            if values.dtype != kind:
                raise TypeError(f"{name} must be {kind.__name__}, got {values.dtype}.")
        if self.frames.ndim != 5 or self.labels.shape != (len(self.frames),):
            raise ValueError(
                "frames must be [samples, steps, channels, height, width] and labels [samples], "
                f"got {list(self.frames.shape)} and {list(self.labels.shape)}."
            )
        if self.frames.size == 0:
            raise ValueError(f"frames must hold at least one pixel of one sample, got {list(self.frames.shape)}.")
        if self.frames.max() > 1:
            raise ValueError(f"frames must be binary, 0 or 1, got {self.frames.max()}.")
        if self.labels.min() < 0:
            raise ValueError(f"labels must be class numbers from 0, got {self.labels.min()}.")

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, part: slice | NDArray[np.integer]) -> LabeledFrames:
        return LabeledFrames(self.frames[part], self.labels[part])


@dataclass(frozen=True, eq=False)
class FrameSplits:
    """Frames for training, for validation, which every choice uses, and for the final test.

    Example:
        >>> frames = LabeledFrames(np.zeros((10, 5, 1, 16, 16), np.uint8), np.arange(10) % 2)
        >>> splits = FrameSplits(frames, frames, frames, class_names=("left", "right"))

    Args:
        train: Training samples.
        validation: Held out of the training samples; the search maximizes the accuracy on them.
        test: Used once, for the final accuracy.
        class_names: Name of each class, by its number.

    Raises:
        ValueError: If the frames have different shapes, or a class has no name.
    """

    train: LabeledFrames
    validation: LabeledFrames
    test: LabeledFrames
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        shapes = [list(split.frames.shape[1:]) for split in (self.train, self.validation, self.test)]
        if not shapes[0] == shapes[1] == shapes[2]:
            raise ValueError(f"Frames of all splits must have the same shape, got {shapes}.")
        largest = max(int(split.labels.max()) for split in (self.train, self.validation, self.test))
        if largest >= self.classes:
            raise ValueError(f"class_names must name all {largest + 1} classes, got {self.classes} names.")

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def frames_of(
    recordings: Iterable[EventRecording],
    *,
    steps: int,
    height: int,
    width: int,
    block: int = 1,
    merge_polarities: bool = False,
    minimum_count: int = 1,
) -> LabeledFrames:
    """Binary frames: a pixel of a step is 1 if it has enough events.

    Example:
        >>> recording = EventRecording.from_arrays(t=[0, 5], x=[1, 2], y=[3, 3], p=[0, 1], label=4)
        >>> frames = frames_of([recording], steps=2, height=4, width=4)
        >>> frames.frames.shape, frames.frames.sum()
        ((1, 2, 2, 4, 4), np.uint64(2))

    Args:
        recordings: At least one recording; a recording without events has black frames.
        steps: Number of equal time bins from the first event of a recording to its last.
        height: Rows of the sensor.
        width: Columns of the sensor.
        block: Side length of a frame's pixel, in sensor pixels. If it does not divide the sensor, the last block is
            smaller.
        merge_polarities: Whether both polarities share a channel; otherwise darker is the first channel and brighter
            the second.
        minimum_count: Fewest events of a pixel that is 1.

    Raises:
        ValueError: If there are no recordings, an event is outside the sensor, or a number is less than 1.
    """
    numbers = {"steps": steps, "height": height, "width": width, "block": block, "minimum_count": minimum_count}
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}.")
    shape = (steps, 1 if merge_polarities else 2, -(-height // block), -(-width // block))
    frames, labels = [], []
    for k, recording in enumerate(recordings):
        if len(recording) > 0 and (recording.x.max() >= width or recording.y.max() >= height):
            raise ValueError(
                f"Events must be on the sensor, x below {width} and y below {height}, got x up to "
                f"{recording.x.max()} and y up to {recording.y.max()} in recording {k}."
            )
        frames.append(_counts(recording, shape, block) >= minimum_count)
        labels.append(recording.label)
    if not frames:
        raise ValueError("recordings must hold at least one recording, got none.")
    return LabeledFrames(np.stack(frames).astype(np.uint8), np.array(labels, np.int64))


def _counts(recording: EventRecording, shape: tuple[int, int, int, int], block: int) -> NDArray[np.int64]:
    """Events in each pixel of each step: [steps, channels, rows, columns]."""
    if len(recording) == 0:
        return np.zeros(shape, np.int64)
    steps, channels, rows, columns = shape
    elapsed = recording.t - recording.t[0]
    # Integer arithmetic is exact for events on the edges of bins.
    pixel = elapsed * steps // (elapsed[-1] + 1)
    if channels == 2:
        pixel = pixel * channels + recording.p
    pixel = (pixel * rows + recording.y // block) * columns + recording.x // block
    return np.bincount(pixel, minlength=int(np.prod(shape))).reshape(shape)


def reverse_half(frames: LabeledFrames, swaps: Mapping[int, int], seed: int) -> LabeledFrames:
    """The samples, each reversed in time with probability 1/2, with the class of the reversed sample.

    Then classes that are reversals of each other differ in the order of frames only, and a classifier of them needs a
    memory. Reversal exchanges brighter and darker: two channels are swapped.

    Example:
        >>> frames = LabeledFrames(np.zeros((10, 5, 1, 16, 16), np.uint8), np.arange(10) % 2)
        >>> reversed_frames = reverse_half(frames, swaps={0: 1, 1: 0}, seed=0)
        >>> reversed_frames.frames.shape == frames.frames.shape
        True

    Args:
        frames: The samples.
        swaps: The class of a reversed sample, by its class; other classes stay. ``TIME_REVERSED_GESTURES`` for
            gestures.
        seed: Seed of the choice of samples.

    Raises:
        ValueError: If the swaps are not symmetric.
    """
    one_way = [label for label, other in swaps.items() if swaps.get(other) != label]
    if one_way:
        raise ValueError(f"swaps must go both ways, got {dict(swaps)}, which does not for {one_way}.")
    chosen = np.random.default_rng(seed).random(len(frames)) < 0.5
    reversed_frames, labels = frames.frames.copy(), frames.labels.copy()
    reversed_frames[chosen] = frames.frames[chosen, ::-1, ::-1]
    labels[chosen] = [swaps.get(int(label), int(label)) for label in labels[chosen]]
    return LabeledFrames(reversed_frames, labels)


def split_by_user(users: Sequence[str], validation: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Hold out all samples of some users, to validate on unseen people.

    Example:
        >>> training, held_out = split_by_user(["ann", "ben", "ann", "eve"], validation=0.34, seed=0)
        >>> len(training) + len(held_out)
        4

    Args:
        users: The recorded person of each sample, such as :attr:`EventRecording.user`; two or more people.
        validation: Fraction of the users to hold out; at least one is held out, and at least one is not.
        seed: Seed of the choice of users.

    Returns:
        Indices of the training samples and of the held-out samples, ascending.

    Raises:
        ValueError: If ``validation`` is not a fraction, or there are fewer than two users.
    """
    if not 0 < validation < 1:
        raise ValueError(f"validation must be a fraction between 0 and 1, got {validation!r}.")
    people = sorted(set(users))
    if len(people) < 2:
        raise ValueError(f"users must be at least two people, got {people}. random_split needs no users.")
    count = min(max(round(validation * len(people)), 1), len(people) - 1)
    held_out = np.isin(users, np.random.default_rng(seed).permutation(people)[:count])
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def random_split(frames: LabeledFrames, sizes: Sequence[int], seed: int) -> list[LabeledFrames]:
    """Random disjoint parts, stratified by class.

    Example:
        >>> frames = LabeledFrames(np.zeros((10, 5, 1, 16, 16), np.uint8), np.arange(10) % 2)
        >>> train, test = random_split(frames, [8, 2], seed=0)
        >>> len(train.labels), len(test.labels)
        (8, 2)

    Args:
        frames: The samples.
        sizes: Number of samples of each part; at most all samples together.
        seed: Seed of the split.

    Raises:
        ValueError: If a size is less than 1, or the sum is more than the number of samples.
    """
    if len(sizes) == 0 or min(sizes) < 1 or sum(sizes) > len(frames):
        raise ValueError(f"sizes must be at least 1 each and {len(frames)} at most together, got {list(sizes)}.")
    generator = np.random.default_rng(seed)
    place = np.empty(len(frames))
    for label in np.unique(frames.labels):
        members = np.flatnonzero(frames.labels == label)
        # Spread the class evenly over the whole order, so that every part of the order has its share.
        place[generator.permutation(members)] = (np.arange(len(members)) + 0.5) / len(members)
    order = np.lexsort((generator.random(len(frames)), place))
    edges = np.cumsum((0, *sizes))
    return [frames[order[first:last]] for first, last in pairwise(edges)]
