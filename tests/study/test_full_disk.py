"""A disk that is full for a while, and then for longer than patience lasts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from qspinn_optuna.study import DIRECTIONS, DurableStorage, StorageError, open_storage
from qspinn_optuna.study.storage import outages


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(file: Path) -> None:
    number = os.open(file, os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(number, b"x" * 512)
    except OSError:
        os.close(number)


def evaluate(trial: optuna.Trial) -> tuple[float, float]:
    number = trial.suggest_int("number", 0, 10**6)
    # More than what is left on a page of a full disk.
    trial.set_user_attr("long", "y" * 20_000)
    return number, number


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_a_full_disk_is_waited_for_and_loses_nothing(
    kind: str, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    filling = disk / "filling"
    storage = open_storage(f"{kind}:///{disk / 'studies'}")
    assert isinstance(storage, DurableStorage)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(study_name="a", storage=storage, directions=DIRECTIONS, sampler=sampler)
    pauses: list[float] = []

    def make_space(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            filling.unlink()

    def evaluate_on_full_disk(trial: optuna.Trial) -> tuple[float, float]:
        values = evaluate(trial)
        fill(filling)
        return values

    study.optimize(evaluate, n_trials=2)
    monkeypatch.setattr(outages, "sleep", make_space)
    study.optimize(evaluate_on_full_disk, n_trials=1)
    assert len(pauses) == 3
    storage._patience.seconds = 0
    with pytest.raises(StorageError, match=r"full|No space.* the result of trial 3 is in a-3-\w+\.unsaved\.json"):
        study.optimize(evaluate_on_full_disk, n_trials=1)
    states = [trial.state.name for trial in storage._backend.get_all_trials(study._study_id)]
    assert states == ["COMPLETE"] * 3 + ["RUNNING"]
    filling.unlink()
    again = DurableStorage(storage._backend)
    assert again.take_in_unsaved(study._study_id) == [3]
    assert [trial.state.name for trial in again.get_all_trials(study._study_id)] == ["COMPLETE"] * 4


def test_no_database_is_made_on_a_full_disk(disk: Path) -> None:
    fill(disk / "filling")
    with pytest.raises(ValueError, match=r"^storage\b.*full"):
        open_storage(f"sqlite:///{disk / 'studies.db'}")
