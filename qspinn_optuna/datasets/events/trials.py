"""The trials of DVS-Gesture: parts of recordings that show one gesture each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qspinn_optuna.datasets.events.aedat import read_aedat
from qspinn_optuna.datasets.events.recording import EventRecording

LABELS_HEADER = "class,startTime_usec,endTime_usec"
_CLASSES = 11


@dataclass(frozen=True)
class Trial:
    """One gesture in a recording.

    Args:
        label: Number of the class, 0-10; files count from 1.
        start: First microsecond.
        end: First microsecond after the gesture.
    """

    label: int
    start: int
    end: int


def read_trials(path: Path) -> list[Trial]:
    """The trials in a file of labels.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a line does not have three whole numbers, a class is not 1-11, or a trial ends before it begins.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} must list the gestures of the recording ({LABELS_HEADER}), but is missing.")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_trial(f"{path}, line {k},", line) for k, line in enumerate(lines[1:], 2) if line.strip()]


def _trial(place: str, line: str) -> Trial:
    try:
        number, start, end = (int(field) for field in line.split(","))
    except ValueError as error:
        raise ValueError(f"{place} must hold three whole numbers, {LABELS_HEADER}, got {line!r}.") from error
    if not 1 <= number <= _CLASSES:
        raise ValueError(f"{place} must name a class between 1 and {_CLASSES}, got {number}.")
    if not 0 <= start < end:
        raise ValueError(f"{place} must have an end after its start, got the start {start} and the end {end}.")
    return Trial(number - 1, start, end)


def cut_trials(recording: Path) -> Iterator[EventRecording]:
    """The trials of a recording ``<user>_<light>.aedat``, from its labels in ``<user>_<light>_labels.csv``.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, or a trial starts after the last event of the recording.
    """
    labels = recording.with_name(f"{recording.stem}_labels.csv")
    trials = read_trials(labels)
    t, x, y, p = read_aedat(recording)
    order = np.argsort(t, kind="stable")
    t, x, y, p = t[order], x[order], y[order], p[order]
    end = int(t[-1]) if len(t) > 0 else -1
    for number, trial in enumerate(trials, start=1):
        if trial.start > end:
            raise ValueError(
                f"{labels} has a trial after the end of its recording: number {number} starts at {trial.start:,} "
                f"microseconds, the last event of {recording} is at {end:,}: is the recording cut off?"
                if end >= 0
                else f"{recording} has no events, but {labels} has {len(trials)} trials of it."
            )
        part = slice(*np.searchsorted(t, (trial.start, trial.end)))
        yield EventRecording(t[part], x[part], y[part], p[part], trial.label, recording.stem)


def save_trials(archive: Path, target: Path, save: Callable[..., None] = np.savez_compressed) -> None:
    """Save all trials as ``target/{train,test}/<label>/<source>_<number>.npz``, SpikingJelly's layout.

    Args:
        archive: The extracted folder, with the recordings, their labels and the two lists of recordings.
        target: An empty folder.
        save: Writes arrays to a file, with the arguments of numpy's ``savez``.

    Raises:
        FileNotFoundError: If a list, a recording or its labels are missing.
        ValueError: If a file is damaged.
    """
    for part in ("train", "test"):
        for label in range(_CLASSES):
            (target / part / str(label)).mkdir(parents=True)
        for recording in _listed(archive / f"trials_to_{part}.txt"):
            numbers: Counter[int] = Counter()
            for trial in cut_trials(recording):
                name = f"{trial.source}_{numbers[trial.label]}.npz"
                numbers[trial.label] += 1
                save(target / part / str(trial.label) / name, t=trial.t, x=trial.x, y=trial.y, p=trial.p)


def _listed(path: Path) -> list[Path]:
    """The paths of the recordings in a list."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} must list recordings, one a line, but is missing.")
    names = path.read_text(encoding="utf-8").split()
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{path} lists {', '.join(missing)}, which must be in {path.parent}, but is missing.")
    return [path.parent / name for name in names]
