"""Errors of storages: waited out, told once, and the results that could not be told."""

from __future__ import annotations

import errno
import random
import sqlite3
from functools import partial
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError

from qspinn_optuna.study import DIRECTIONS, DurableStorage, StorageError
from qspinn_optuna.study.storage import StudyDeletedError, outages
from qspinn_optuna.study.storage.outages import is_passing
from tests.study.flaky import LOST, FlakyStorage

NUMBER = "number"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(outages, "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(outages, "_MOMENT", 0.0)


def evaluate(trial: optuna.Trial) -> tuple[float, float]:
    number = trial.suggest_int(NUMBER, 0, 10_000)
    trial.set_user_attr("half", number / 2)
    trial.report(1.0, 3) if len(trial.study.directions) == 1 else None
    return number, number


def evaluate_and_break(backend: FlakyStorage, trial: optuna.Trial) -> tuple[float, float]:
    """The storage fails for good once the trial is evaluated."""
    values = evaluate(trial)
    backend.fails = lambda _: True
    return values


def study_on(storage: DurableStorage) -> optuna.Study:
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(storage=storage, directions=DIRECTIONS, sampler=sampler, study_name="a")


@pytest.mark.parametrize("seed", range(3))
def test_with_errors_before_and_after_calls_all_is_there_once(seed: int) -> None:
    backend, draw = FlakyStorage(), random.Random(seed)
    study = study_on(DurableStorage(backend, patience=60))
    backend.fails = backend.breaks = lambda _: draw.random() < 0.15
    for number in range(5):
        study.enqueue_trial({NUMBER: number})
    study.optimize(evaluate, n_trials=20)
    backend.fails = backend.breaks = lambda _: False
    trials = backend.get_all_trials(study._study_id)
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    assert len(done) == 20
    assert all(trial.values == [trial.params[NUMBER]] * 2 for trial in done)
    assert all(trial.user_attrs == {"half": trial.params[NUMBER] / 2} for trial in done)
    # Whether it took a trial cannot be known from a storage that is neither a database nor a journal: such a trial has
    # no lease, so that it is tried again when it stays silent.
    lost = [trial for trial in trials[:5] if trial.state is TrialState.RUNNING]
    assert all("qspinn:lease" not in trial.system_attrs for trial in lost)
    queued = [trial.system_attrs["fixed_params"][NUMBER] for trial in trials if "fixed_params" in trial.system_attrs]
    assert queued == list(range(5))
    assert {trial.number for trial in trials} == {trial.number for trial in done + lost}


def test_an_outage_is_told_once_and_so_is_its_end(shown: pytest.LogCaptureFixture) -> None:
    backend = FlakyStorage()
    study = study_on(DurableStorage(backend, patience=60))
    failures = iter([True] * 20)
    backend.fails = lambda _: next(failures, False)
    study.optimize(evaluate, n_trials=2)
    assert [record.getMessage() for record in shown.records if record.name == "optuna.storages.qspinn"] == [
        "storage: server closed the connection; trying again for up to 60 seconds",
        "storage: back again",
    ]


def test_when_patience_is_over_the_result_is_in_a_file_which_the_study_takes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend = FlakyStorage()
    study = study_on(DurableStorage(backend, patience=0.02))

    with pytest.raises(StorageError, match=r"^storage: .*given up.* the result of trial 0 is in a-0-\w+.unsaved.json"):
        study.optimize(partial(evaluate_and_break, backend), n_trials=3)
    backend.fails = lambda _: False
    (path,) = tmp_path.iterdir()
    content = path.read_text()
    assert backend.get_all_trials(0)[0].state is TrialState.RUNNING
    for _ in range(2):
        again = DurableStorage(backend)
        assert again.take_in_unsaved(0) == [0]
        assert not list(tmp_path.iterdir())
        (trial,) = backend.get_all_trials(0)
        assert (trial.state, trial.values) == (TrialState.COMPLETE, [trial.params[NUMBER]] * 2)
        assert trial.user_attrs == {"half": trial.params[NUMBER] / 2}
        path.write_text(content)
    other = study_on(DurableStorage(FlakyStorage()))
    other.optimize(evaluate, n_trials=1)
    assert isinstance(other._storage, DurableStorage)
    assert other._storage.take_in_unsaved(0) == []
    assert path.read_text() == content


def test_an_unsaved_result_of_a_trial_that_was_retried_is_kept_as_a_late_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend = FlakyStorage()
    study = study_on(DurableStorage(backend, patience=0.02))

    with pytest.raises(StorageError):
        study.optimize(partial(evaluate_and_break, backend), n_trials=1)
    backend.fails = lambda _: False
    backend.set_trial_state_values(0, TrialState.FAIL)
    assert DurableStorage(backend).take_in_unsaved(0) == [0]
    assert [trial.state.name for trial in backend.get_all_trials(0)] == ["FAIL", "COMPLETE"]
    assert backend.get_all_trials(0)[1].system_attrs["qspinn:late_result_of"] == 0


def test_a_trial_that_fails_because_of_its_storage_is_queued_again() -> None:
    backend = FlakyStorage()
    study = study_on(DurableStorage(backend, patience=0.02))

    def unlucky(trial: optuna.Trial) -> tuple[float, float]:
        evaluate(trial)
        backend.fails = lambda _: True
        try:
            _ = trial.study.trials
        finally:
            backend.fails = lambda _: False
        return 0.0, 0.0

    with pytest.raises(StorageError):
        study.optimize(unlucky, n_trials=1)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "WAITING"]
    study.optimize(evaluate, n_trials=1)
    assert study.trials[0].params == study.trials[1].params


def test_an_interrupt_while_a_result_waits_to_be_told_keeps_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend = FlakyStorage()
    study = study_on(DurableStorage(backend, patience=60))

    def last(trial: optuna.Trial) -> tuple[float, float]:
        values = evaluate(trial)
        backend.fails = lambda _: True
        monkeypatch.setattr(outages, "sleep", interrupt)
        return values

    with pytest.raises(KeyboardInterrupt):
        study.optimize(last, n_trials=3)
    backend.fails = lambda _: False
    assert DurableStorage(backend).take_in_unsaved(0) == [0]
    assert backend.get_all_trials(0)[0].state is TrialState.COMPLETE


def interrupt(_: float) -> None:
    raise KeyboardInterrupt


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    backend = RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 0}})
    study = study_on(DurableStorage(backend, patience=60, delay=100))
    other = sqlite3.connect(path, isolation_level=None)

    def locking(trial: optuna.Trial) -> tuple[float, float]:
        values = evaluate(trial)
        other.execute("BEGIN IMMEDIATE")
        return values

    class Releasing:
        def __init__(self) -> None:
            self.pauses = 0

        def __call__(self, _: float) -> None:
            self.pauses += 1
            if self.pauses == 5:
                other.execute("ROLLBACK")

    pauses = Releasing()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outages, "sleep", pauses)
        study.optimize(locking, n_trials=1)
    assert pauses.pauses == 5
    assert study.trials[0].state is TrialState.COMPLETE


def test_a_study_that_is_deleted_ends_its_workers_in_a_line() -> None:
    study = study_on(DurableStorage(FlakyStorage()))

    def deleting(trial: optuna.Trial) -> tuple[float, float]:
        optuna.delete_study(study_name="a", storage=trial.study._storage)
        return evaluate(trial)

    with pytest.raises(StudyDeletedError, match=r"^storage: study 'a' was deleted") as error:
        study.optimize(deleting, n_trials=2)
    assert "\n" not in str(error.value)


def of_database(text: str, kind: type[DatabaseError] = OperationalError) -> Exception:
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = kind("SELECT 1", {}, Exception(text))
    return error


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (LOST, True),
        (of_database("database is locked"), True),
        (of_database("database or disk is full"), True),
        (of_database("FATAL: sorry, too many clients already"), True),
        (of_database("(0, '')", InterfaceError), True),  # type: ignore[arg-type]
        (StorageInternalError("unknown"), True),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (ConnectionResetError("lost"), True),
        (of_database("attempt to write a readonly database"), False),
        (of_database("no such table: trials"), False),
        (of_database('FATAL: password authentication failed for user "me"'), False),
        (of_database("database disk image is malformed", DatabaseError), False),
        (of_database("value too long", DataError), False),
        (of_database("foreign key", IntegrityError), False),
        (FileNotFoundError(errno.ENOENT, "No such file"), False),
        (OSError(errno.EROFS, "Read-only file system"), False),
    ],
)
def test_what_passes_by_itself_is_waited_out_and_nothing_else(error: Exception, passes: bool) -> None:
    assert is_passing(error) is passes
    backend = FlakyStorage()
    storage = DurableStorage(backend, patience=60)
    failures = iter([True, True])
    backend.error, backend.fails = error, lambda _: next(failures, False)
    if passes:
        assert storage.get_all_studies() == []
        return
    with pytest.raises(StorageError, match=r"^storage: ") as told:
        storage.get_all_studies()
    assert "\n" not in str(told.value)
    assert told.value.__cause__ is None
    assert backend.calls == ["get_all_studies"]
