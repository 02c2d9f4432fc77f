"""Recordings of event cameras, real ones through SpikingJelly or generated ones, and their frames."""

from __future__ import annotations

from qspinn_optuna.datasets.events.aedat import read_aedat, write_aedat
from qspinn_optuna.datasets.events.archive import generate_gesture_archive
from qspinn_optuna.datasets.events.frames import (
    FrameSplits,
    LabeledFrames,
    frames_of,
    random_split,
    reverse_half,
    split_by_user,
)
from qspinn_optuna.datasets.events.gestures import GESTURES, LIGHTS, TIME_REVERSED_GESTURES
from qspinn_optuna.datasets.events.loading import EventDataset, iterate_recordings, load_recordings
from qspinn_optuna.datasets.events.recording import EventRecording

__all__ = [
    "GESTURES",
    "LIGHTS",
    "TIME_REVERSED_GESTURES",
    "EventDataset",
    "EventRecording",
    "FrameSplits",
    "LabeledFrames",
    "frames_of",
    "generate_gesture_archive",
    "iterate_recordings",
    "load_recordings",
    "random_split",
    "read_aedat",
    "reverse_half",
    "split_by_user",
    "write_aedat",
]
