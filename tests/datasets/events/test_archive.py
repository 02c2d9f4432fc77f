"""Archives of generated gestures: complete or absent, and the same for the same settings."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qspinn_optuna.datasets import GESTURES, generate_gesture_archive, load_recordings, read_aedat
from qspinn_optuna.datasets.events import archive
from qspinn_optuna.datasets.events.manifest import Manifest, md5_of
from tests.datasets.events.gesture_archive import NAMES, content_of

TINY: dict[str, Any] = {"train_users": 1, "test_users": 1, "lights": ("led",), "seed": 3}
SMALL: dict[str, Any] = {"train_users": 1, "test_users": 1, "lights": ("lab", "natural"), "seed": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a training user, a test user and two lights."""
    root = tmp_path_factory.mktemp("gestures") / "deep" / "root"
    assert generate_gesture_archive(str(root), **SMALL) == root
    return root


def test_the_archive_is_laid_out_as_dvs_gesture(made: Path, tmp_path: Path) -> None:
    assert sorted(content_of(made)) == sorted(["download", *(f"download/{name}" for name in (*NAMES, "generated.md5"))])
    with tarfile.open(made / "download" / NAMES[0]) as packed:
        packed.extractall(tmp_path, filter="data")
    folder = tmp_path / "DvsGesture"
    names = [f"user0{user}_{light}" for user in (1, 2) for light in ("lab", "natural")]
    lists = ["trials_to_train.txt", "trials_to_test.txt"]
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [*lists, *(f"{name}.aedat" for name in names), *(f"{name}_labels.csv" for name in names)]
    )
    assert (folder / lists[0]).read_text().split() == [f"{name}.aedat" for name in names[:2]]
    assert (folder / lists[1]).read_text().split() == [f"{name}.aedat" for name in names[2:]]
    header, *lines = (folder / "user02_lab_labels.csv").read_text().splitlines()
    assert header == "class,startTime_usec,endTime_usec"
    trials = np.array([line.split(",") for line in lines], int)
    np.testing.assert_array_equal(trials[:, 0], np.arange(1, 12))
    np.testing.assert_array_equal(trials[:, 2] - trials[:, 1], 1_500_000)
    assert (trials[1:, 1] > trials[:-1, 2]).all()
    t = read_aedat(folder / "user02_lab.aedat")[0]
    assert (np.diff(t) >= 0).all()
    assert all(((t >= start) & (t < end)).sum() > 2_000 for _, start, end in trials)
    mapping = (made / "download" / "gesture_mapping.csv").read_text().splitlines()
    assert mapping[1:] == [f"{name},{k}" for k, name in enumerate(GESTURES, 1)]
    for name in ("LICENSE.txt", "README.txt"):
        assert "enerated" in (made / "download" / name).read_text()


def test_md5sum_checks_the_manifest(made: Path) -> None:
    manifest = Manifest.read(made / "download")
    assert manifest is not None
    assert manifest.checksums == {name: md5_of(made / "download" / name) for name in NAMES}
    check = subprocess.run(
        ["md5sum", "--check", "--strict", "generated.md5"], cwd=made / "download", capture_output=True, check=False
    )
    assert check.returncode == 0


def test_the_archive_loads_and_the_same_settings_do_nothing_again(made: Path) -> None:
    train, test = (load_recordings("dvs-gesture", made, train) for train in (True, False))
    assert [recording.label for recording in train] == [label for label in range(11) for _ in range(2)]
    assert {recording.source for recording in test} == {"user02_lab", "user02_natural"}
    assert min(len(recording) for recording in train) > 2_000
    before = content_of(made)
    generate_gesture_archive(made, **SMALL)
    assert content_of(made) == before


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    generate_gesture_archive(tmp_path / "a", **TINY, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    generate_gesture_archive(tmp_path / "b", **TINY)
    assert content_of(tmp_path / "a") == content_of(tmp_path / "b")
    first, other = (next(archive._recordings(archive._Settings(1, 1, ["led"], 1, seed), "test")) for seed in (3, 4))
    assert first[1] != other[1]


def test_a_recording_does_not_depend_on_which_others_there_are() -> None:
    def recording(lights: list[str]) -> bytes:
        made = archive._recordings(archive._Settings(1, 1, lights, 1, 3), "test")
        return {name: content for name, content, _ in made}["user02_led"]

    assert recording(["led"]) == recording(["lab", "led"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_users": 0}, r"^train_users\b.*got 0"),
        ({"test_users": -1}, r"^test_users\b.*got -1"),
        ({"repetitions": 0}, r"^repetitions\b.*got 0"),
        ({"seed": -1}, r"^seed\b.*got -1"),
        ({"lights": ()}, r"^lights\b.*got \[\]"),
        ({"lights": ("led", "led")}, r"^lights\b.*got"),
        ({"lights": ("led", "moon")}, r"^lights\b.*'fluorescent'.*got .*moon"),
    ],
)
def test_settings_out_of_range_are_refused_and_nothing_is_written(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        generate_gesture_archive(tmp_path / "root", **(TINY | change))
    assert content_of(tmp_path) == {}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupted_generation_leaves_nothing(tmp_path: Path, stop: type[BaseException]) -> None:
    def progress(_: int, __: int) -> None:
        raise stop

    with pytest.raises(stop):
        generate_gesture_archive(tmp_path, **TINY, progress=progress)
    assert content_of(tmp_path) == {}


@pytest.mark.parametrize("existing", ["download/DvsGesture.tar.gz", "events_np/train/0/a.npz", "extract/x"])
def test_other_data_are_never_overwritten(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).parent.mkdir(parents=True)
    (tmp_path / existing).write_bytes(b"mine")
    before = content_of(tmp_path)
    with pytest.raises(FileExistsError, match=f"{existing.partition('/')[0]} must not exist.*not generated"):
        generate_gesture_archive(tmp_path, **TINY)
    assert content_of(tmp_path) == before


@pytest.mark.parametrize("change", [{"seed": 9}, {"repetitions": 2}, {"train_users": 3}, {"lights": ("lab",)}])
def test_an_archive_of_other_settings_is_never_overwritten(made: Path, change: dict[str, Any]) -> None:
    before = content_of(made)
    with pytest.raises(FileExistsError, match=r"generated with .*'seed': 1") as error:
        generate_gesture_archive(made, **(SMALL | change))
    assert "Choose another root" in str(error.value)
    assert content_of(made) == before


def test_an_archive_of_an_earlier_generator_is_not_taken_for_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_gesture_archive(tmp_path, **TINY)
    settings = archive._Settings(1, 1, ["led"], 1, 3, version=archive._VERSION + 1)
    monkeypatch.setattr(archive, "_Settings", lambda *_: settings)
    with pytest.raises(FileExistsError, match="'version'"):
        generate_gesture_archive(tmp_path, **TINY)


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    for content in ("", "nonsense", "# {}\nonly-a-checksum"):
        (tmp_path / "generated.md5").write_text(content)
        with pytest.raises(ValueError, match=r"generated\.md5 is damaged"):
            Manifest.read(tmp_path)
