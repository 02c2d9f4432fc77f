"""Loading event recordings through SpikingJelly's data sets."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from zipfile import BadZipFile

from qspinn_optuna.datasets.events.gestures import GESTURES
from qspinn_optuna.datasets.events.preparation import CarefulPreparation
from qspinn_optuna.datasets.events.recording import EventRecording
from qspinn_optuna.datasets.events.trials import save_trials
from qspinn_optuna.vocabulary import Vocabulary

_SPIKINGJELLY = "spikingjelly.datasets"
"""Imported when it is needed, since that is slow; see :mod:`~qspinn_optuna.import_guard`."""


class EventDataset(Vocabulary):
    """Data sets of event cameras.

    Example:
        >>> [dataset.value for dataset in EventDataset]
        ['dvs-gesture', 'nmnist']
    """

    DVS_GESTURE = "dvs-gesture"
    """Gestures of 29 people (Amir et al., CVPR 2017), or generated ones in the same layout."""
    NMNIST = "nmnist"
    """MNIST digits in front of a moving camera (Orchard et al., Frontiers in Neuroscience 2015)."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, by its number."""
        return GESTURES if self is EventDataset.DVS_GESTURE else tuple("0123456789")

    @property
    def sensor(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return (128, 128) if self is EventDataset.DVS_GESTURE else (34, 34)


def load_recordings(dataset: EventDataset | str, root: Path | str, train: bool) -> list[EventRecording]:
    """All recordings of a part of a data set, sorted by class and file name.

    :func:`iterate_recordings` holds one recording at a time in memory, since DVS-Gesture has gigabytes of events.

    Example:
        >>> recordings = load_recordings(EventDataset.N_MNIST, "data/NMNIST", train=False)  # doctest: +SKIP
    """
    return list(iterate_recordings(dataset, root, train))


def iterate_recordings(dataset: EventDataset | str, root: Path | str, train: bool) -> Iterator[EventRecording]:
    """The recordings of a part of a data set, one after the other, sorted by class and file name.

    The first call creates the folder ``events_np`` from the downloaded archives; later calls write nothing.

    Example:
        >>> first = next(iterate_recordings("n-mnist", "data/NMNIST", train=True))  # doctest: +SKIP

    Args:
        dataset: The data set.
        root: SpikingJelly's folder of the data set, with the archives in ``download`` or with ``events_np``.
        train: Whether to load the training part; otherwise the test part.

    Raises:
        FileNotFoundError: If the folder or its content is missing.
        RuntimeError: If SpikingJelly left the folder unfinished.
        ValueError: If the data set is unknown, or a file is damaged.
    """
    dataset = EventDataset(dataset)
    if not Path(root).is_dir():
        raise FileNotFoundError(f"root must be the folder of {dataset}, got {root}, which is not a folder.")
    opened = _class_of(dataset)(root, train=train)
    samples = sorted((label, Path(path)) for path, label in opened.samples)
    if samples[-1][0] >= len(dataset.class_names):
        raise ValueError(
            f"{samples[-1][1].parent} must have the name of a class of {dataset}, 0-{len(dataset.class_names) - 1}."
        )
    return (_read(opened, path, label) for label, path in samples)


def _read(opened: Any, path: Path, label: int) -> EventRecording:
    try:
        events = opened.loader(path)
        t, x, y, p = (events[key] for key in "txyp")
        return EventRecording.from_arrays(t, x, y, p, label, path.stem.rpartition("_")[0])
    except (BadZipFile, EOFError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} must be a file of numpy arrays t, x, y and p; it is damaged ({error}).") from error


def _class_of(dataset: EventDataset) -> Any:
    """SpikingJelly's class with the careful preparation, created here because its import is slow."""
    datasets = importlib.import_module(_SPIKINGJELLY)
    if dataset is EventDataset.NMNIST:
        return type("CarefulNMNIST", (_NamedArchives, CarefulPreparation, datasets.NMNIST), {})
    return type("CarefulDVS128Gesture", (_FastTrials, CarefulPreparation, datasets.DVS128Gesture), {})


class _NamedArchives:
    """Unpacks only the archives; SpikingJelly fails at any other file in ``download``, such as a README."""

    resource_url_md5: ClassVar[Callable[[], list[tuple[str, str, str]]]]

    @classmethod
    def extract_downloaded_files(cls, download_root: Path, extract_root: Path) -> None:
        """Unpack ``Train.zip`` and ``Test.zip``."""
        for name, _, _ in cls.resource_url_md5():
            shutil.unpack_archive(download_root / name, extract_root)


class _FastTrials:
    """Cuts recordings with numpy; SpikingJelly has a slow loop over single events."""

    @classmethod
    def create_raw_from_extracted(cls, extract_root: Path, raw_root: Path) -> None:
        """Save the trials of the extracted archive, compressed unless SpikingJelly is set not to."""
        save_trials(extract_root / "DvsGesture", raw_root, importlib.import_module(_SPIKINGJELLY).utils.np_savez)
