"""Journal files: full disks, torn and damaged lines, files of others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage

from qspinn_optuna.study import DIRECTIONS, StorageError, open_storage
from qspinn_optuna.study.storage import journal
from qspinn_optuna.study.storage.journal import JournalFile


def evaluate(trial: optuna.Trial) -> tuple[float, float]:
    number = trial.suggest_int("number", 0, 10_000)
    return number, number


def study_at(path: Path) -> optuna.Study:
    return optuna.create_study(
        study_name="a",
        storage=open_storage(f"journal:///{path}"),
        directions=DIRECTIONS,
        sampler=optuna.samplers.RandomSampler(seed=0),
        load_if_exists=True,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "studies.log"


def test_any_program_reads_the_journal(path: Path) -> None:
    study = study_at(path)
    study.optimize(evaluate, n_trials=3)
    storage = JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    assert optuna.load_study(study_name="a", storage=storage).trials == study.trials
    assert [file.name for file in path.parent.iterdir()] == ["studies.log"]


@pytest.mark.parametrize("size", [1, 40, 100_000])
def test_a_torn_line_is_not_read_and_goes_away_with_the_next(path: Path, size: int) -> None:
    study_at(path).optimize(evaluate, n_trials=3)
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(b'{"op_code":8,"worker_id":"' + b"x" * size)
    study = study_at(path)
    assert len(study.trials) == 3
    study.optimize(evaluate, n_trials=2)
    assert len(study_at(path).trials) == 5
    assert path.read_bytes().startswith(whole)
    for line in path.read_bytes().splitlines():
        json.loads(line)


def test_a_disk_that_is_full_in_the_middle_of_a_line_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = JournalFile(path)
    backend.append_logs([{"op_code": 0}])
    before = path.read_bytes()

    def write_some(file: Any, content: bytes) -> None:
        os.write(file.fileno(), content[:7])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_write", write_some)
        with pytest.raises(OSError, match="No space"):
            backend.append_logs([{"op_code": 1}, {"op_code": 2}])
    assert path.read_bytes() == before
    backend.append_logs([{"op_code": 1}])
    assert [log["op_code"] for log in backend.read_logs(0)] == [0, 1]


def test_a_damaged_line_is_named_and_the_file_stays_as_it_is(path: Path) -> None:
    study_at(path).optimize(evaluate, n_trials=3)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4][:10] + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(ValueError, match=r"^storage\b.*line 5 of .*studies.log is damaged") as error:
        study_at(path)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == b"".join(lines)


def test_a_line_that_is_damaged_meanwhile_ends_the_worker_in_a_line(path: Path) -> None:
    study = study_at(path)

    def damage(trial: optuna.Trial) -> tuple[float, float]:
        with path.open("ab") as file:
            file.write(b"?\n{}\n")
        return evaluate(trial)

    with pytest.raises(StorageError, match=r"^storage: line \d+ of .*studies.log is damaged"):
        study.optimize(damage, n_trials=2)


@pytest.mark.parametrize("content", [b"my thesis\n", b"[1, 2]\n", b'{"a": 1}\n', b"\x00\x01", b'{"op'])
def test_a_file_of_another_program_is_refused_and_stays_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    if content == b'{"op':
        # What is left of a study that could not be created.
        assert study_at(path).trials == []
        return
    with pytest.raises(ValueError, match=r"^storage\b.*no journal"):
        study_at(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("journal://studies.log", "journal:///FILE"),
        ("journal:///", "journal:///FILE"),
        ("journal:////no/such/folder/a.log", "no folder"),
        ("journal:////tmp", "folder"),
        ("grpc://localhost", "grpc://HOST:PORT"),
        ("grpc://:13000", "grpc://HOST:PORT"),
    ],
)
def test_an_address_that_names_nothing_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"^storage\b.*{reason}"):
        open_storage(url)
