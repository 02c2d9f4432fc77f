"""Images and event recordings as arrays; only this package knows file formats."""

from __future__ import annotations

from qspinn_optuna.datasets.events import (
    GESTURES,
    LIGHTS,
    TIME_REVERSED_GESTURES,
    EventDataset,
    EventRecording,
    FrameSplits,
    LabeledFrames,
    frames_of,
    generate_gesture_archive,
    iterate_recordings,
    load_recordings,
    random_split,
    read_aedat,
    reverse_half,
    split_by_user,
    write_aedat,
)
from qspinn_optuna.datasets.images import ImageSplits, LabeledImages
from qspinn_optuna.datasets.mnist import download_mnist, embedded_mnist, mnist_from_folder
from qspinn_optuna.datasets.sequences import sequences_of

__all__ = [
    "GESTURES",
    "LIGHTS",
    "TIME_REVERSED_GESTURES",
    "EventDataset",
    "EventRecording",
    "FrameSplits",
    "ImageSplits",
    "LabeledFrames",
    "LabeledImages",
    "download_mnist",
    "embedded_mnist",
    "frames_of",
    "generate_gesture_archive",
    "iterate_recordings",
    "load_recordings",
    "mnist_from_folder",
    "random_split",
    "read_aedat",
    "reverse_half",
    "sequences_of",
    "split_by_user",
    "write_aedat",
]
