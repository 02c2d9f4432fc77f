"""Data sets through SpikingJelly's classes, without harm to the user's files."""

from __future__ import annotations

import importlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qspinn_optuna.datasets import EventDataset, EventRecording, iterate_recordings, load_recordings
from qspinn_optuna.datasets.events import trials
from qspinn_optuna.datasets.events.manifest import md5_of
from tests.datasets.events.gesture_archive import HEADER, NAMES, GestureArchive, content_of, some_events

datasets = importlib.import_module("spikingjelly.datasets")
GESTURE, NMNIST = EventDataset.DVS_GESTURE, EventDataset.NMNIST


def refused(root: Path, kind: type[Exception], message: str, dataset: EventDataset = GESTURE) -> str:
    """The message of the error; the folder is left as it was."""
    before = content_of(root)
    with pytest.raises(kind, match=message) as error:
        load_recordings(dataset, root, train=True)
    assert content_of(root) == before
    assert str(root) in str(error.value)
    return str(error.value)


def events_np(root: Path, dataset: EventDataset = NMNIST) -> Path:
    """A folder of recordings, two of each of some classes, in each part."""
    for part, seed in (("train", 0), ("test", 100)):
        for label in (10, 2, 0) if dataset is GESTURE else (9, 2, 0):
            folder = root / "events_np" / part / str(label)
            folder.mkdir(parents=True)
            for k in (1, 0):
                t, x, y, p = some_events(seed + 10 * label + k, 50)
                np.savez(folder / f"{k:05d}.npz", t=t, x=x % 34, y=y % 34, p=p)
    return root


# What is loaded -----------------------------------------------------------------------------------------------------


def test_gestures_are_cut_sorted_and_labeled_by_number(tmp_path: Path) -> None:
    root = GestureArchive().write(tmp_path)
    train, test = (load_recordings("dvs-gesture", root, train) for train in (True, False))
    assert [(r.label, r.source, r.user) for r in train] == [
        (1, "user02_lab", "user02"),
        (2, "user01_led", "user01"),
        (2, "user02_lab", "user02"),
        (10, "user01_led", "user01"),
        (10, "user01_led", "user01"),
    ]
    assert [(r.label, r.source) for r in test] == [(0, "user03_led")] * 2
    t, x, y, p = some_events(1, 300)
    inside = (t >= 600) & (t < 900)
    for values, expected in zip((train[4].t, train[4].x, train[4].y, train[4].p), (t, x, y, p), strict=True):
        np.testing.assert_array_equal(values, expected[inside])


def test_what_is_saved_is_what_spikingjelly_saves(tmp_path: Path) -> None:
    root = GestureArchive().write(tmp_path / "ours")
    load_recordings(GESTURE, root, train=True)
    gesture = datasets.DVS128Gesture
    shutil.unpack_archive(root / "download" / NAMES[0], tmp_path / "extract")
    theirs, ours = tmp_path / "theirs", root / "events_np"
    theirs.mkdir()
    gesture.create_raw_from_extracted(tmp_path / "extract", theirs)
    expected = {path.relative_to(theirs): path for path in theirs.rglob("*")}
    assert {path.relative_to(ours) for path in ours.rglob("*")} == set(expected)
    for name in [name for name in expected if name.suffix == ".npz"]:
        with np.load(expected[name]) as saved, np.load(ours / name) as found:
            assert saved.files == found.files
            for key in saved.files:
                np.testing.assert_array_equal(found[key], saved[key])


def test_spikingjelly_takes_the_folder_for_its_own_and_makes_frames(tmp_path: Path) -> None:
    root = GestureArchive().write(tmp_path)
    load_recordings(GESTURE, root, train=True)
    # SpikingJelly's own class needs recordings of every class that has a folder.
    for folder in [path for path in (root / "events_np").glob("*/*") if not list(path.iterdir())]:
        folder.rmdir()
    gesture = datasets.DVS128Gesture
    frames = gesture(root, train=False, data_type="frame", frames_number=2, split_by="number")
    assert [(frame.shape, label) for frame, label in frames] == [((2, 2, 128, 128), 0)] * 2
    assert frames[0][0].sum() == len(load_recordings(GESTURE, root, train=False)[0])


def test_only_the_recordings_are_left_beside_the_archive(tmp_path: Path) -> None:
    root = GestureArchive().write(tmp_path)
    before = content_of(root)
    load_recordings(GESTURE, root, train=True)
    after = content_of(root)
    assert {name: after[name] for name in before} == before
    assert {name.partition("/")[0] for name in after} == {"download", "events_np"}


def test_digits_are_loaded_from_their_folder_without_writing(tmp_path: Path) -> None:
    root = events_np(tmp_path)
    before = content_of(root)
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    times = [folder.stat().st_mtime_ns for folder in folders]
    for folder in folders:
        folder.chmod(0o555)
    try:
        train, test = (load_recordings("nmnist", str(root), train) for train in (True, False))
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert content_of(root) == before
    assert [folder.stat().st_mtime_ns for folder in folders] == times
    assert [r.label for r in train] == [r.label for r in test] == [0, 0, 2, 2, 9, 9]
    assert {r.source for r in train} == {""}
    np.testing.assert_array_equal(train[2].t, some_events(20, 50)[0])
    np.testing.assert_array_equal(test[5].t, some_events(191, 50)[0])


def test_folders_are_class_numbers_and_not_lexical_indices(tmp_path: Path) -> None:
    recordings = load_recordings(GESTURE, events_np(tmp_path, GESTURE), train=True)
    assert [r.label for r in recordings] == [0, 0, 2, 2, 10, 10]
    np.testing.assert_array_equal(recordings[4].t, some_events(100, 50)[0])


def test_digits_are_unpacked_from_their_archives_and_other_files_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = tmp_path / "download"
    download.mkdir()
    for part in ("Train", "Test"):
        with zipfile.ZipFile(download / f"{part}.zip", "w") as archive:
            for label in (0, 7):
                archive.writestr(f"{part}/{label}/00001.bin", bytes([3, 4, 128, 1, 2, 5, 6, 0, 1, label + 3]))
    (download / "README.txt").write_text("mine")
    checksums = [(name, "", md5_of(download / name)) for name in ("Train.zip", "Test.zip")]
    monkeypatch.setattr(datasets.NMNIST, "resource_url_md5", classmethod(lambda _: checksums))
    first, second = load_recordings(NMNIST, tmp_path, train=True)
    assert (first.label, second.label) == (0, 7)
    np.testing.assert_array_equal(second.t, [258, 266])
    np.testing.assert_array_equal(second.x, [3, 5])
    np.testing.assert_array_equal(second.y, [4, 6])
    np.testing.assert_array_equal(second.p, [1, 0])


def test_an_extracted_archive_is_enough_and_stays(tmp_path: Path) -> None:
    root = GestureArchive().write(tmp_path)
    shutil.unpack_archive(root / "download" / NAMES[0], root / "extract")
    shutil.rmtree(root / "download")
    before = content_of(root)
    assert len(load_recordings(GESTURE, root, train=True)) == 5
    assert {name: content_of(root)[name] for name in before} == before


def test_recordings_are_read_one_at_a_time(tmp_path: Path) -> None:
    recordings = iterate_recordings(NMNIST, events_np(tmp_path), train=True)
    assert isinstance(next(recordings), EventRecording)
    (tmp_path / "events_np/train/9/00001.npz").write_bytes(b"damaged")
    assert [next(recordings).label for _ in range(4)] == [0, 2, 2, 9]
    with pytest.raises(ValueError, match="damaged"):
        next(recordings)


def test_data_sets_know_their_classes_and_sensors() -> None:
    assert (len(GESTURE.class_names), len(NMNIST.class_names)) == (11, 10)
    assert GESTURE.sensor == datasets.DVS128Gesture.get_H_W()
    assert NMNIST.sensor == datasets.NMNIST.get_H_W()
    with pytest.raises(ValueError, match=r"'dvs-gesture', 'nmnist'.*got 'mnist'"):
        load_recordings("mnist", ".", train=True)


def test_several_at_once_do_not_disturb_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = GestureArchive().write(tmp_path)
    cut = trials.cut_trials
    started: list[int] = []

    def cut_while_another_finishes(path: Path) -> object:
        if not started:
            started.append(1)
            load_recordings(GESTURE, root, train=True)
        return cut(path)

    monkeypatch.setattr(trials, "cut_trials", cut_while_another_finishes)
    assert len(load_recordings(GESTURE, root, train=True)) == 5
    assert {name.partition("/")[0] for name in content_of(root)} == {"download", "events_np"}


# What cannot be loaded ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", EventDataset)
def test_a_missing_folder_is_named(tmp_path: Path, dataset: EventDataset) -> None:
    with pytest.raises(FileNotFoundError, match=rf"^root\b.*{dataset}.*nowhere"):
        load_recordings(dataset, tmp_path / "nowhere", train=True)
    assert content_of(tmp_path) == {}


def test_for_an_empty_folder_the_message_lists_the_expected_files(tmp_path: Path) -> None:
    message = refused(tmp_path, FileNotFoundError, "must hold events_np/{train,test}/<label>/")
    assert all(name in message for name in NAMES)
    assert "ibm" in message
    assert "Train.zip" in refused(tmp_path, FileNotFoundError, "Test.zip", NMNIST)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_download_is_named(tmp_path: Path, name: str) -> None:
    root = GestureArchive().write(tmp_path)
    (root / "download" / name).unlink()
    assert refused(root, FileNotFoundError, "it lacks").endswith(f"it lacks {name}.")


@pytest.mark.parametrize("make", [lambda _: None, lambda root: (root / "events_np/train/0").mkdir(parents=True)])
def test_a_folder_without_recordings_is_named(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "events_np").mkdir()
    make(tmp_path)
    refused(tmp_path, FileNotFoundError, r"events_np/train must hold recordings as <label>/\*\.npz", NMNIST)


@pytest.mark.parametrize("name", ["wave", "-1", "²"])
def test_a_folder_that_is_not_a_class_number_is_named(tmp_path: Path, name: str) -> None:
    root = events_np(tmp_path)
    (root / "events_np/train/2").rename(root / "events_np/train" / name)
    refused(root, ValueError, f"class numbers.*{name}", NMNIST)


def test_an_unknown_class_is_named(tmp_path: Path) -> None:
    root = events_np(tmp_path, GESTURE)
    refused(root, ValueError, r"train/10\b.*class of nmnist, 0-9", NMNIST)


def test_a_damaged_recording_is_named(tmp_path: Path) -> None:
    path = events_np(tmp_path) / "events_np/train/2/00001.npz"
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[:-40], whole[: len(whole) // 2], b"\x93NUMPY"):
        path.write_bytes(content)
        assert str(path) in refused(tmp_path, ValueError, "it is damaged", NMNIST)
    np.savez(path, t=np.arange(3), x=np.arange(3))
    refused(tmp_path, ValueError, r"00001\.npz.*damaged", NMNIST)
    np.save(path.with_suffix(".npy"), np.arange(3))
    path.unlink()
    refused(tmp_path, ValueError, r"00001\.npy.*damaged", NMNIST)


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_another_checksum_is_refused_and_the_file_kept(tmp_path: Path, name: str, manifest: bool) -> None:
    root = GestureArchive().write(tmp_path, manifest)
    path = root / "download" / (name if manifest else NAMES[0])
    expected = md5_of(path) if manifest else "8a5c71fb11e24e5ca5b11866ca6c00a1"
    path.write_bytes(path.read_bytes() + b"more")
    message = refused(root, ValueError, f"must have the MD5 checksum {expected}")
    assert str(path) in message
    assert md5_of(path) in message


def test_digits_archives_have_the_official_checksums(tmp_path: Path) -> None:
    (tmp_path / "download").mkdir()
    for name in ("Train.zip", "Test.zip"):
        (tmp_path / "download" / name).write_bytes(b"mine")
    refused(tmp_path, ValueError, r"Train\.zip must have the MD5 checksum 20959b8e626244a1b502305a9e6e2031", NMNIST)


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        ("user02_lab.aedat", None, FileNotFoundError, r"trials_to_train\.txt lists user02_lab\.aedat"),
        ("user03_led.aedat", None, FileNotFoundError, r"trials_to_test\.txt lists user03_led\.aedat"),
        ("user02_lab_labels.csv", None, FileNotFoundError, r"user02_lab_labels\.csv"),
        ("trials_to_test.txt", None, FileNotFoundError, r"trials_to_test\.txt must list recordings"),
        ("trials_to_train.txt", b"user09_led.aedat\n", FileNotFoundError, r"lists user09_led\.aedat"),
        ("user03_led.aedat", b"#!AER-DAT2.0\r\n", ValueError, r"user03_led\.aedat must be AEDAT 3\.1"),
        ("user03_led_labels.csv", f"{HEADER}12,1,2\n".encode(), ValueError, "class.*got 12"),
        ("user03_led_labels.csv", f"{HEADER}2,2,1\n".encode(), ValueError, "start 2 and the end 1"),
    ],
)
def test_a_failure_on_the_way_leaves_nothing(
    tmp_path: Path, name: str, content: bytes | None, kind: type[Exception], message: str
) -> None:
    archive = GestureArchive()
    if content is None:
        del archive.files[name]
    else:
        archive.files[name] = content
    root = archive.write(tmp_path)
    refused(root, kind, message)
    shutil.rmtree(root / "download")
    assert len(load_recordings(GESTURE, GestureArchive().write(root), train=True)) == 5


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = GestureArchive().write(tmp_path)
    before = content_of(root)

    def interrupt(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trials, "cut_trials", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_recordings(GESTURE, root, train=True)
    assert content_of(root) == before


def test_what_spikingjelly_left_unfinished_is_refused_and_left(tmp_path: Path) -> None:
    root = GestureArchive().write(tmp_path)
    (root / "events_np" / "train" / "0").mkdir(parents=True)
    (root / "events_np.building").touch()
    assert "remove both" in refused(root, RuntimeError, r"events_np\.building")
