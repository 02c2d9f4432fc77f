"""Frames of event recordings, split into training, validation and test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qspinn_optuna.datasets import (
    GESTURES,
    TIME_REVERSED_GESTURES,
    EventDataset,
    EventRecording,
    FrameSplits,
    LabeledFrames,
    frames_of,
    generate_gesture_archive,
    iterate_recordings,
    random_split,
    reverse_half,
    split_by_user,
)
from qspinn_optuna.display import part
from qspinn_optuna.workloads.supervised.events.recipes import EventRecipe

_VALIDATION_USERS = 0.2
"""Fraction of the people of the training recordings that are held out."""

_TRAINING_SAMPLES = 0.9
"""Fraction of the training recordings that is trained on where people do not matter."""

_POOLED_PARTS = (0.72, 0.08)
"""Fractions of pooled recordings for training and validation; the rest is the test."""


def generate_gestures(root: Path, train_users: int, test_users: int, seed: int) -> None:
    """Make an archive of gestures, unless it is there, with a progress bar."""
    with part("generating gestures", unit="recording") as shown:

        def show(done: int, total: int) -> None:
            shown.total = total
            shown.advance(count=done - shown.done)

        generate_gesture_archive(root, train_users=train_users, test_users=test_users, seed=seed, progress=show)


def load_splits(recipe: EventRecipe, root: Path, *, pool: bool, seed: int) -> FrameSplits:
    """Frames of a folder.

    Args:
        recipe: How they are made.
        root: The folder.
        pool: Whether the data set's training and test recordings are pooled and split anew.
        seed: Of the split, and of which gestures are reversed.
    """
    if pool:
        everything = load_pooled(recipe, root)
        sizes = [round(part * len(everything)) for part in _POOLED_PARTS]
        parts = random_split(everything, (*sizes, len(everything) - sum(sizes)), seed)
    else:
        train, users = _load(recipe, root, train=True)
        test, _ = _load(recipe, root, train=False)
        if recipe.dataset is EventDataset.DVS_GESTURE:
            kept, held_out = split_by_user(users, _VALIDATION_USERS, seed)
            parts = [train[kept], train[held_out], test]
        else:
            size = round(_TRAINING_SAMPLES * len(train))
            parts = [*random_split(train, (size, len(train) - size), seed), test]
    if recipe.time_reversal:
        parts = [reverse_half(part, TIME_REVERSED_GESTURES, seed + k) for k, part in enumerate(parts)]
    return FrameSplits(parts[0], parts[1], parts[2], recipe.dataset.class_names)


def load_pooled(recipe: EventRecipe, root: Path) -> LabeledFrames:
    """Frames of a folder, training and test in one."""
    train, _ = _load(recipe, root, train=True)
    test, _ = _load(recipe, root, train=False)
    return LabeledFrames(np.concatenate([train.frames, test.frames]), np.concatenate([train.labels, test.labels]))


def circles_of(data: FrameSplits) -> LabeledFrames | None:
    """The test samples of circling arms; None if the classes are no gestures, or none of the samples circles."""
    if data.class_names != GESTURES:
        return None
    chosen = np.flatnonzero(np.isin(data.test.labels, tuple(TIME_REVERSED_GESTURES)))
    return data.test[chosen] if len(chosen) else None


def _load(recipe: EventRecipe, root: Path, *, train: bool) -> tuple[LabeledFrames, list[str]]:
    """Frames and who is recorded in each, one recording in memory at a time."""
    height, width = recipe.dataset.sensor
    users: list[str] = []

    def noted() -> Iterator[EventRecording]:
        for recording in iterate_recordings(recipe.dataset, root, train=train):
            users.append(recording.user)
            yield recording
            shown.advance()

    with part("reading", unit="recording") as shown:
        frames = frames_of(
            noted(),
            steps=recipe.steps,
            height=height,
            width=width,
            block=recipe.block,
            merge_polarities=recipe.merge_polarities,
            minimum_count=recipe.minimum_count,
        )
    return frames, users
