"""Event-camera data and networks that suit them, for the studies and benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from qspinn_optuna.datasets import (
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
from qspinn_optuna.workloads.supervised import (
    ConvBlock,
    ConvSNN,
    FrameBatches,
    LocalLearningSNN,
    SupervisedWorkload,
    fit,
    fit_by_epochs,
    local_loss,
)
from qspinn_optuna.workloads.supervised.training import cross_entropy

CIRCLES = tuple(TIME_REVERSED_GESTURES)
"""The classes that only the order of frames tells apart."""

VALIDATION_USERS = 0.2
CALIBRATION_SAMPLES = 100
POOLED_PARTS = (0.72, 0.08)
"""Parts of pooled recordings that are trained and tuned on; the rest is the test."""


@dataclass(frozen=True)
class Recipe:
    """How frames are made of a data set, and a network trained on them.

    Args:
        dataset: Whose files are read.
        steps: Frames of a recording.
        block: Sensor pixels of a side of a frame's pixel.
        minimum_count: Events that make a pixel 1.
        merge_polarities: Whether brighter and darker are one channel.
        time_reversal: Whether half of the gestures are played backwards.
        blocks: The convolutions.
        decay: Of the neurons.
        score_scale: Of the summed output.
        epochs: Of training.
        learning_rate: Of training.
        fine_tune_epochs: Of in-training quantization.
        fine_tune_rate: Of in-training quantization.
        batch_size: Of training.
        shift: Pixels of augmentation.
    """

    dataset: EventDataset
    steps: int
    block: int
    minimum_count: int
    merge_polarities: bool
    time_reversal: bool
    blocks: tuple[ConvBlock, ...]
    decay: float
    score_scale: float
    epochs: int
    learning_rate: float
    fine_tune_epochs: int
    fine_tune_rate: float
    batch_size: int
    shift: int


GESTURES = Recipe(
    dataset=EventDataset.DVS_GESTURE,
    steps=16,
    block=4,
    minimum_count=2,
    merge_polarities=True,
    time_reversal=True,
    blocks=(ConvBlock(8, 5, stride=2), ConvBlock(16, 3, pool=2), ConvBlock(32, 3, pool=2)),
    decay=0.8,
    score_scale=1.0,
    epochs=20,
    learning_rate=5e-3,
    fine_tune_epochs=4,
    fine_tune_rate=1e-3,
    batch_size=22,
    shift=2,
)
"""Generated gestures, made so that telling circles apart needs a memory."""

DVS_GESTURE = replace(GESTURES, merge_polarities=False, time_reversal=False)

NMNIST = Recipe(
    dataset=EventDataset.NMNIST,
    steps=10,
    block=1,
    minimum_count=1,
    merge_polarities=False,
    time_reversal=False,
    blocks=(ConvBlock(16, 3, pool=2), ConvBlock(32, 3, pool=2)),
    decay=0.5,
    score_scale=0.4,
    epochs=20,
    learning_rate=2e-3,
    fine_tune_epochs=5,
    fine_tune_rate=5e-4,
    batch_size=20,
    shift=2,
)


def generate_gestures(root: Path, train_users: int, test_users: int, seed: int) -> None:
    """Make an archive of gestures, unless it is there, with a progress bar."""
    with tqdm(desc="generating gestures", unit="recording", leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        generate_gesture_archive(root, train_users=train_users, test_users=test_users, seed=seed, progress=show)


def load_splits(recipe: Recipe, root: Path, *, pool: bool, seed: int) -> FrameSplits:
    """Frames of a folder.

    Args:
        recipe: How they are made.
        root: The folder.
        pool: Whether the data set's training and test recordings are pooled and split anew.
        seed: Of the split, and of which gestures are reversed.
    """
    if pool:
        everything = load_pooled(recipe, root)
        sizes = [round(part * len(everything)) for part in POOLED_PARTS]
        parts = random_split(everything, (*sizes, len(everything) - sum(sizes)), seed)
    else:
        train, users = _load(recipe, root, train=True)
        test, _ = _load(recipe, root, train=False)
        if recipe.dataset is EventDataset.DVS_GESTURE:
            kept, held_out = split_by_user(users, VALIDATION_USERS, seed)
            parts = [train[kept], train[held_out], test]
        else:
            size = round(0.9 * len(train))
            parts = [*random_split(train, (size, len(train) - size), seed), test]
    if recipe.time_reversal:
        parts = [reverse_half(part, TIME_REVERSED_GESTURES, seed + k) for k, part in enumerate(parts)]
    return FrameSplits(parts[0], parts[1], parts[2], recipe.dataset.class_names)


def load_pooled(recipe: Recipe, root: Path) -> LabeledFrames:
    """Frames of a folder, training and test in one."""
    train, _ = _load(recipe, root, train=True)
    test, _ = _load(recipe, root, train=False)
    return LabeledFrames(np.concatenate([train.frames, test.frames]), np.concatenate([train.labels, test.labels]))


def make_workload(
    recipe: Recipe,
    data: FrameSplits,
    *,
    local: bool = False,
    cache: Path | None = None,
    seed: int = 0,
    rungs: Sequence[float] = (),
) -> SupervisedWorkload:
    """The network of a recipe, its training and its data; ``local`` for one that learns locally."""
    kind = LocalLearningSNN if local else ConvSNN
    network = kind(
        data.train.frames.shape[2:],
        recipe.blocks,
        data.classes,
        **({} if local else {"decay": recipe.decay}),
        score_scale=recipe.score_scale,
        seed=seed,
    )
    batches = FrameBatches(
        data.train,
        recipe.batch_size,
        shuffle=True,
        shift=recipe.shift,
        reversals=TIME_REVERSED_GESTURES if recipe.time_reversal else None,
    )
    learning: dict[str, Any] = {"batches": batches, "loss": local_loss if local else cross_entropy}
    return SupervisedWorkload(
        network,
        train=partial(fit, **learning, epochs=recipe.epochs, learning_rate=recipe.learning_rate),
        # By epochs whether there are looks or not: a study may go on with a pruner, and finds what it has trained.
        fine_tune=partial(
            fit_by_epochs, **learning, epochs=recipe.fine_tune_epochs, learning_rate=recipe.fine_tune_rate
        ),
        calibration=FrameBatches(random_split(data.train, [min(len(data.train), CALIBRATION_SAMPLES)], seed)[0], 50),
        # In random order, since a pruner takes the first samples for what all of them are.
        validation=FrameBatches(random_split(data.validation, [len(data.validation)], seed=0)[0], 110),
        test=FrameBatches(data.test, 110),
        cache=cache,
        seed=seed,
        rungs=rungs,
    )


def circles_of(frames: LabeledFrames) -> LabeledFrames | None:
    """The samples of circling arms, if there are any."""
    chosen = np.flatnonzero(np.isin(frames.labels, CIRCLES))
    return frames[chosen] if len(chosen) else None


def _load(recipe: Recipe, root: Path, *, train: bool) -> tuple[LabeledFrames, list[str]]:
    """Frames and who is recorded in each, one recording in memory at a time."""
    height, width = recipe.dataset.sensor
    users: list[str] = []

    def noted() -> Iterator[EventRecording]:
        for recording in tqdm(
            iterate_recordings(recipe.dataset, root, train=train), desc="reading", unit="sample", leave=False
        ):
            users.append(recording.user)
            yield recording

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
