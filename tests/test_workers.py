"""Processes that search one study: what they run, and how they end."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from qspinn_optuna import QuantizationConfig, QuantizationObjective, open_study, run_workers
from qspinn_optuna.workers import Progress, coordinator
from qspinn_optuna.workers.sharing import seed_of_worker
from tests.fake_workload import FakeWorkload, fake_space


class PoisonedWorkload(FakeWorkload):
    """The evaluation after the first one kills its process, in the first process that comes to it."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        self.mark = mark

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        if self.evaluated and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(config, seed)


class FailingWorkload(FakeWorkload):
    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        del config, seed
        raise LookupError(f"no such network in process {os.getpid() != 0}")


class DyingWorkload(FakeWorkload):
    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        del config, seed
        os._exit(3)


class SlowWorkload(FakeWorkload):
    """An evaluation waits until it is interrupted."""

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        time.sleep(60)
        return super().evaluate(config, seed)


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return open_study("study", f"sqlite:///{tmp_path / 'study.db'}", fake_space(), RandomSampler())


def states(study: optuna.Study) -> list[TrialState]:
    return [trial.state for trial in study.trials]


def run(study: optuna.Study, workload: FakeWorkload, n_trials: int, workers: int = 2) -> None:
    run_workers(study, QuantizationObjective(workload, fake_space()), n_trials, workers=workers, sampler=RandomSampler)


def test_as_many_trials_as_asked_for_and_queued_ones_once(study: optuna.Study) -> None:
    queued = [{"scheme": "ptq", "rounding": "nearest", "bits.weight": bits, "bits.membrane": 8} for bits in range(2, 6)]
    for params in queued:
        study.enqueue_trial(params)
    run(study, FakeWorkload(), 11, workers=3)
    assert states(study) == [TrialState.COMPLETE] * 11
    assert [trial.params for trial in study.trials[:4]] == queued
    # Random search with the same seed would repeat: 3 workers, 7 trials.
    drawn = [tuple(trial.params.values()) for trial in study.trials[4:]]
    assert len(set(drawn)) == len(drawn)


def test_what_a_function_defines_goes_to_workers(study: optuna.Study) -> None:
    base = 0.5

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        trial.set_user_attr("process", os.getpid())
        return trial.suggest_float("x", 0, 1), base

    run_workers(study, objective, 3, workers=1)
    assert [trial.values[1] for trial in study.trials] == [base] * 3
    assert {trial.user_attrs["process"] for trial in study.trials}.isdisjoint({os.getpid()})


def test_a_worker_that_is_killed_is_replaced(
    study: optuna.Study, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(study, PoisonedWorkload(tmp_path / "mark"), 8)
    assert states(study).count(TrialState.COMPLETE) == 8
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "died" in line]
    assert "SIGKILL" in line


def test_workers_that_only_die_end_the_search(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qspinn_optuna.workers.coordinator._ATTEMPTS", 1)
    with pytest.raises(RuntimeError, match=r"workers died one after another, the last one with exit code 3"):
        run(study, DyingWorkload(), 50, workers=1)


def test_an_error_ends_all_workers_and_is_raised_with_its_traceback(study: optuna.Study) -> None:
    with pytest.raises(LookupError, match="no such network in process True") as raised:
        run(study, FailingWorkload(), 5)
    assert "in evaluate" in str(raised.value.__cause__)
    assert TrialState.RUNNING not in states(study)


def test_an_interrupt_ends_all_workers_and_queues_their_trials(study: optuna.Study) -> None:
    def interrupt() -> None:
        while states(study).count(TrialState.RUNNING) < 2:
            time.sleep(0.02)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(study, SlowWorkload(), 5)
    thread.join()
    assert sorted(states(study)) == sorted([TrialState.FAIL] * 2 + [TrialState.WAITING] * 2)


def test_seeds_of_workers_differ_and_change_when_the_study_goes_on() -> None:
    seeds = {seed_of_worker((seed, trials), worker) for seed in range(3) for trials in (0, 9) for worker in range(4)}
    assert len(seeds) == 24


@pytest.mark.parametrize(("n_trials", "workers", "match"), [(1, 0, "workers"), (-1, 1, "n_trials")])
def test_impossible_numbers_are_refused(study: optuna.Study, n_trials: int, workers: int, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        run_workers(study, lambda _: 0.0, n_trials, workers=workers)


def test_more_workers_than_cores_are_told(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(coordinator._LOGGER, "warning", told.append)
    monkeypatch.setattr(coordinator, "available_cores", lambda: 3)
    for workers in (3, 4):
        run_workers(study, lambda _: 0.0, 0, workers=workers)
    assert [line.split(":")[0] for line in told] == ["4 workers share 3 cores"]


@pytest.mark.parametrize("storage", [None, "sqlite://", "sqlite:///:memory:"])
def test_a_storage_in_memory_is_refused(storage: str | None) -> None:
    study = optuna.create_study(storage=storage)
    with pytest.raises(ValueError, match="storage must be one that workers share"):
        run_workers(study, lambda _: 0.0, 1, workers=2)


def test_what_cannot_be_pickled_is_refused(study: optuna.Study) -> None:
    lock = threading.Lock()
    with pytest.raises(TypeError, match="objective must be one that can be pickled"):
        run_workers(study, lambda _: float(lock.locked()), 1, workers=2)


def test_without_a_terminal_there_are_about_ten_lines() -> None:
    lines: list[str] = []
    with Progress(95, lines.append) as progress:
        for number in range(95):
            progress.add(TrialState.PRUNED if number % 5 == 0 else TrialState.COMPLETE)
    assert len(lines) == 10
    assert all(re.search(r" in \d+ s, about \d+ s to go$", line) for line in lines[:-1])
    assert re.fullmatch(r"95 of 95 trials \(19 pruned, 76 complete\) in \d+ s", lines[-1])
