"""Workers that are killed or suspended at a given moment: real processes on real files."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.trial import TrialState

from qspinn_optuna.study import DIRECTIONS, DurableStorage, open_storage, retry_interrupted
from qspinn_optuna.study.storage import leased, write_now
from qspinn_optuna.study.storage.leases import LEASE
from qspinn_optuna.study.storage.patient import PatientStorage

URLS = ("sqlite:///{}/studies.db", "journal:///{}/studies.log")
SILENCE = {"interval": 0.1, "grace": 0.5, "delay": 0.05}
"""Seconds, so short that tests do not wait."""


@pytest.fixture(params=URLS, ids=["sqlite", "journal"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.param).format(tmp_path)


def backend_of(url: str) -> BaseStorage:
    storage = open_storage(url)
    assert isinstance(storage, DurableStorage)
    return storage._backend


def study_at(url: str) -> optuna.Study:
    storage = DurableStorage(backend_of(url), **SILENCE)
    sampler = optuna.samplers.RandomSampler()
    return optuna.create_study(
        study_name="a", storage=storage, directions=DIRECTIONS, sampler=sampler, load_if_exists=True
    )


def evaluate(trial: optuna.Trial) -> tuple[float, float]:
    number = trial.suggest_int("number", 0, 10_000)
    return number, number


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_process(function: Callable[..., None], *arguments: object) -> BaseProcess:
    context: ForkServerContext = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=function, args=arguments)
    process.start()
    return process


def killed(function: Callable[..., None], *arguments: object) -> None:
    """Run what kills its process."""
    process = in_a_process(function, *arguments)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def die_in_evaluation(url: str) -> None:
    def die(trial: optuna.Trial) -> tuple[float, float]:
        values = evaluate(trial)
        # What a running trial stores is written a moment later.
        write_now(trial)
        kill()
        return values

    study_at(url).optimize(die, n_trials=1)


def test_what_kills_its_process_is_tried_three_times(url: str) -> None:
    study = study_at(url)
    study.enqueue_trial({"number": 7})
    for _ in range(3):
        killed(die_in_evaluation, url)
    study.optimize(evaluate, n_trials=2)
    assert states(study) == ["FAIL"] * 3 + ["COMPLETE"] * 2
    assert [trial.system_attrs["fixed_params"] for trial in study.trials[:3]] == [{"number": 7}] * 3
    assert all("fixed_params" not in trial.system_attrs for trial in study.trials[3:])


BUILT_IN = JournalStorage.set_trial_system_attr


def kill_at_the_lease(storage: JournalStorage, trial_id: int, key: str, value: Any) -> None:
    if key == LEASE:
        kill()
    BUILT_IN(storage, trial_id, key, value)


def die_with_a_taken_trial(url: str) -> None:
    # Between the state and the lease where these are not one; just after both where they are.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JournalStorage, "set_trial_system_attr", kill_at_the_lease)
        patch.setattr(DurableStorage, "_own", lambda *_: kill())
        study_at(url).ask()


def test_a_trial_that_was_taken_and_has_no_lease_is_tried_again(url: str) -> None:
    study = study_at(url)
    study.enqueue_trial({"number": 7})
    killed(die_with_a_taken_trial, url)
    assert states(study) == ["RUNNING"]
    end = time.monotonic() + 10
    while not retry_interrupted(study) and time.monotonic() < end:
        time.sleep(0.1)
    study.optimize(evaluate, n_trials=1)
    assert states(study) == ["FAIL", "COMPLETE"]
    assert study.trials[1].params == {"number": 7}


def test_a_trial_of_plain_optuna_is_left_alone_which_is_told_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(leased._LOGGER, "warning", told.append)
    study = study_at(url)
    plain = optuna.load_study(study_name="a", storage=backend_of(url)).ask()
    passed = itertools.count(step=SILENCE["interval"])
    monkeypatch.setattr(time, "monotonic", lambda: next(passed))
    assert [retry_interrupted(study) for _ in range(20)] == [[]] * 20
    assert states(study) == ["RUNNING"]
    assert len(told) == 1
    assert "left alone" in told[0]
    plain.study.tell(plain, [1.0, 1.0])
    assert states(study) == ["COMPLETE"]


def test_a_trial_of_plain_optuna_whose_heart_has_stopped_is_tried_again(tmp_path: Path) -> None:
    backend = RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}", heartbeat_interval=60)
    study = optuna.create_study(storage=DurableStorage(backend, **SILENCE), directions=DIRECTIONS)
    for _ in range(2):
        backend.record_heartbeat(backend.create_new_trial(study._study_id))
    with backend.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE trial_heartbeats SET heartbeat = '2000-01-01' WHERE trial_id = 1"))
    assert retry_interrupted(study) == [0]
    assert states(study) == ["FAIL", "RUNNING", "WAITING"]


def die_while_retrying(url: str) -> None:
    original = PatientStorage.set_trial_state_values

    def end(storage: PatientStorage, trial_id: int, state: TrialState, *values: Any) -> bool:
        if state is TrialState.FAIL:
            kill()
        return original(storage, trial_id, state, *values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PatientStorage, "set_trial_state_values", end)
        study_at(url).ask()


def test_who_dies_while_it_retries_leaves_one_retry(url: str) -> None:
    study = study_at(url)
    study.enqueue_trial({"number": 7})
    killed(die_in_evaluation, url)
    killed(die_while_retrying, url)
    assert states(study) == ["RUNNING", "WAITING"]
    study.optimize(evaluate, n_trials=1)
    # Who took the retry had no reason to look at others.
    assert retry_interrupted(study) == [0]
    assert states(study) == ["FAIL", "COMPLETE"]


def suspended(url: str) -> None:
    def wait(trial: optuna.Trial) -> tuple[float, float]:
        values = evaluate(trial)
        os.kill(os.getpid(), signal.SIGSTOP)
        return values[0] + 0.5, values[1]

    study = study_at(url)
    study.optimize(wait, n_trials=1)
    assert study.trials[-1].state is TrialState.COMPLETE


@pytest.mark.parametrize("is_retried", [False, True])
def test_the_result_of_a_worker_that_was_suspended_is_kept(url: str, is_retried: bool) -> None:
    study = study_at(url)
    study.enqueue_trial({"number": 7})
    worker = in_a_process(suspended, url)
    end = time.monotonic() + 20
    while states(study) == ["WAITING"] or not retry_interrupted(study):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert worker.pid is not None
    if is_retried:
        study.optimize(evaluate, n_trials=1)
    os.kill(worker.pid, signal.SIGCONT)
    worker.join()
    assert worker.exitcode == 0
    study.optimize(evaluate, n_trials=1)
    first = ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"] if is_retried else ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert states(study) == first
    late = study.trials[2]
    assert (late.params, late.values, late.system_attrs["qspinn:late_result_of"]) == ({"number": 7}, [7.5, 7.0], 0)


def leave(url: str) -> None:
    study = study_at(url)
    study.ask().suggest_int("number", 0, 10)
    raise SystemExit  # as a script that ends


def ended_by_itself(url: str) -> None:
    import atexit  # noqa: PLC0415

    try:
        leave(url)
    finally:
        # Processes of multiprocessing do not do that at their end.
        atexit._run_exitfuncs()


def test_a_process_that_ends_gives_its_trials_back_which_is_no_attempt(url: str) -> None:
    study = study_at(url)
    in_a_process(ended_by_itself, url).join()
    assert states(study) == ["FAIL", "WAITING"]
    assert "retry_history" not in study.trials[1].system_attrs


def test_clocks_mean_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study, other = study_at(url), study_at(url)
    trial = study.ask()
    trial.suggest_int("number", 0, 10)
    for jump in (1e6, -1e6):
        monkeypatch.setattr(time, "time", lambda jump=jump: 1.7e9 + jump)
        assert retry_interrupted(other) == []
    study.tell(trial, [1.0, 1.0])
    assert states(other) == ["COMPLETE"]
