"""Databases of studies: taken trials, retries, what is refused, and what is never shown."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from qspinn_optuna.study import DIRECTIONS, Source, open_storage, record_source, source_of, without_password

SECRET = "pa:ss@w0rd"


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'studies.db'}"


def evaluate(trial: optuna.Trial) -> tuple[float, float]:
    number = trial.suggest_int("number", 0, 10_000)
    return number, number


def work(folder: Path, seed: int) -> None:
    sampler = optuna.samplers.RandomSampler(seed)
    study = optuna.load_study(study_name="a", storage=open_storage(url(folder)), sampler=sampler)
    study.optimize(evaluate, n_trials=12)


def test_queued_trials_are_taken_by_one_worker_each(tmp_path: Path) -> None:
    study = optuna.create_study(study_name="a", storage=open_storage(url(tmp_path)), directions=DIRECTIONS)
    for number in range(24):
        study.enqueue_trial({"number": number})
    context = get_context("forkserver")
    workers = [context.Process(target=work, args=(tmp_path, seed)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 48
    assert [trial.params["number"] for trial in study.trials[:24]] == list(range(24))


def test_a_waiting_trial_is_taken_once(tmp_path: Path) -> None:
    storages = [open_storage(url(tmp_path)) for _ in range(2)]
    study = optuna.create_study(study_name="a", storage=storages[0], directions=DIRECTIONS)
    study.enqueue_trial({"number": 1})
    identifier = study.trials[0]._trial_id
    assert storages[0].set_trial_state_values(identifier, TrialState.RUNNING)
    assert not storages[1].set_trial_state_values(identifier, TrialState.RUNNING)
    assert storages[1].set_trial_state_values(identifier, TrialState.COMPLETE, [1.0, 1.0])
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        storages[0].set_trial_state_values(identifier, TrialState.COMPLETE, [2.0, 2.0])
    assert storages[1].get_trial(identifier).values == study.trials[0].values == [1.0, 1.0]


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE contacts (name TEXT)")


def foreign_with_studies(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript("CREATE TABLE studies (name TEXT); CREATE TABLE patients (name TEXT)")


def damaged(path: Path) -> None:
    optuna.create_study(storage=f"sqlite:///{path}")
    content = bytearray(path.read_bytes())
    content[:100] = bytes(range(100))
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (foreign, "another program"),
        (foreign_with_studies, "another program"),
        (damaged, "damaged"),
        (Path.mkdir, "folder"),
    ],
)
def test_what_is_no_database_of_studies_is_refused_and_stays_as_it_is(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "studies.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(ValueError, match=reason) as error:
        open_storage(url(tmp_path))
    assert "\n" not in str(error.value)
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert [file.name for file in tmp_path.iterdir()] == ["studies.db"]


def test_a_database_that_another_worker_is_creating_is_opened(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute(
            "CREATE TABLE version_info"
            " (version_info_id INTEGER PRIMARY KEY, schema_version INTEGER, library_version VARCHAR)"
        )
    assert optuna.get_all_study_names(open_storage(url(tmp_path))) == []


@pytest.mark.parametrize(
    ("kind", "package"),
    [
        ("postgresql+psycopg", "psycopg[binary]"),
        ("postgresql+psycopg2", "psycopg2-binary"),
        ("postgresql+pg8000", "pg8000"),
        ("mysql", "mysqlclient"),
        ("mysql+pymysql", "pymysql[rsa]"),
    ],
)
def test_a_missing_driver_is_named(kind: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("psycopg", "psycopg2", "pg8000", "MySQLdb", "pymysql"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=f'is not installed: pip install "{re.escape(package)}"$'):
        open_storage(f"{kind}://localhost:1/a")


@pytest.mark.parametrize(("schema", "advice"), [("v2.6.0.a", "storage upgrade"), ("v99.0.0.a", "updating optuna")])
def test_a_database_of_another_version_of_optuna_is_refused_in_a_line_and_stays_as_it_is(
    schema: str, advice: str, tmp_path: Path
) -> None:
    open_storage(url(tmp_path)).remove_session()
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (schema,))
        before = list(connection.iterdump())
    with pytest.raises(ValueError, match=advice) as error:
        open_storage(url(tmp_path))
    assert "\n" not in str(error.value)
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        assert list(connection.iterdump()) == before


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "studies.db").touch()
    assert optuna.get_all_study_names(open_storage(url(tmp_path))) == []


@pytest.mark.parametrize(
    "storage",
    [
        f"postgresql://me:{SECRET}@localhost:1/a",
        f"mysql://me:{SECRET}@localhost:1/a",
        f"oracel://me:{SECRET}@localhost/a",
        f"postgresql://me@localhost:1/a?password={SECRET}",
    ],
)
def test_an_error_shows_no_password(storage: str) -> None:
    with pytest.raises(ValueError, match=r"^storage\b.*\*\*\*") as error:
        open_storage(storage)
    assert "w0rd" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_study_keeps_no_password() -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    record_source(study, "/mine.py", ["--storage", f"postgresql://me:{SECRET}@host/a", "--trials", "3"])
    assert source_of(study) == Source("/mine.py", ("--storage", "postgresql://me:***@host/a", "--trials", "3"))


@pytest.mark.parametrize(
    "text",
    ["sqlite:///qspinn.db", "postgresql://localhost/a", "--bits=weight:1-4", "a@b.c", "postgresql://me@host:5/a"],
)
def test_what_has_no_password_is_shown_as_it_is(text: str) -> None:
    assert without_password(text) == text
