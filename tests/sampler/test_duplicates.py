"""No configuration is suggested twice, whoever else suggests."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial

from qspinn_optuna import QuantizationObjective, open_study
from qspinn_optuna.sampler import KnownObjectiveSampler, MemoryAwareSampler, SpaceExhausted
from tests.fake_workload import FakeWorkload, fake_space
from tests.sampler.problems import MIXED, SMALL, TWELVE, Objective, Space, all_different, cost, make_study, suggest


def test_a_long_study_has_no_duplicate() -> None:
    """The benchmark does 500 trials; 100 are what a test has time for."""
    study = make_study(KnownObjectiveSampler(SMALL, cost, seed=0))
    study.optimize(Objective(SMALL), n_trials=100)
    assert all_different(study.trials)


@pytest.mark.parametrize("jobs", [2, 4])
def test_threads_suggest_nothing_twice(jobs: int) -> None:
    study = make_study(KnownObjectiveSampler(SMALL, cost, seed=0))
    study.optimize(Objective(SMALL), n_trials=25, n_jobs=jobs)
    assert len(study.trials) == 25
    assert all_different(study.trials)


@pytest.mark.parametrize("space", [SMALL, MIXED], ids=["small", "large"])
def test_trials_asked_for_at_once_are_different(space: Space) -> None:
    study = make_study(KnownObjectiveSampler(space, cost, seed=0))
    for trial in [study.ask() for _ in range(16)]:
        suggest(trial, space)
    assert all_different(study.trials)


def work(url: str, seed: int) -> None:
    study = open_study("shared", url, fake_space(), MemoryAwareSampler(fake_space(), seed=seed))
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space()), n_trials=6)


def test_four_processes_suggest_nothing_twice(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    study = open_study("shared", url, fake_space())
    # Processes of their own, which import everything once only.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    workers = [context.Process(target=work, args=(url, seed)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(study.trials) == 24
    assert all_different(study.trials)


def two_workers(space: Space, before: int) -> tuple[optuna.Study, list[KnownObjectiveSampler], list[FrozenTrial]]:
    """Two samplers of the same seed, which would choose the same, and a running trial for each."""
    study = make_study(KnownObjectiveSampler(space, cost, seed=0))
    study.optimize(Objective(space), n_trials=before)
    trial_ids = [study.ask()._trial_id for _ in range(2)]
    samplers = [KnownObjectiveSampler(space, cost, seed=1) for _ in range(2)]
    return study, samplers, [study._storage.get_trial(trial_id) for trial_id in trial_ids]


@pytest.mark.parametrize("space", [SMALL, MIXED, TWELVE], ids=["small", "large", "tiny"])
def test_what_another_worker_takes_between_reading_and_writing_is_left_to_it(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, (slow, fast), (slows, fasts) = two_workers(space, before=8)
    seen = slow._history.seen
    taken: list[dict[str, Any]] = []

    def seen_before_the_other_writes(study: optuna.Study, besides: FrozenTrial | None = None) -> set[bytes]:
        result = seen(study, besides)
        if not taken:
            taken.append(fast.sample_relative(study, fasts, dict(space)))
        return result

    monkeypatch.setattr(slow._history, "seen", seen_before_the_other_writes)
    assert slow.sample_relative(study, slows, dict(space)) != taken[0]


@pytest.mark.parametrize("space", [SMALL, TWELVE], ids=["small", "tiny"])
def test_two_workers_that_write_the_same_at_once_end_with_different_choices(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, samplers, trials = two_workers(space, before=8)
    chosen = in_step(study, samplers, trials, space, monkeypatch)
    assert None not in chosen
    assert chosen[0] != chosen[1]


def in_step(
    study: optuna.Study,
    samplers: list[KnownObjectiveSampler],
    trials: list[FrozenTrial],
    space: Space,
    monkeypatch: pytest.MonkeyPatch,
) -> list[object]:
    """What workers choose that both read, then both write, then both read again; None for an exhausted space."""
    barrier = threading.Barrier(2)
    chosen: list[object] = [None, None]

    def choose(worker: int) -> None:
        seen, calls = samplers[worker]._history.seen, []

        def wait(study: optuna.Study, besides: FrozenTrial | None = None) -> set[bytes]:
            calls.append(worker)
            if len(calls) == 2:
                barrier.wait(10)
            result = seen(study, besides)
            if len(calls) <= 2:
                barrier.wait(10)
            return result

        monkeypatch.setattr(samplers[worker]._history, "seen", wait)
        try:
            chosen[worker] = samplers[worker].sample_relative(study, trials[worker], dict(space))
        except SpaceExhausted:
            chosen[worker] = None

    threads = [threading.Thread(target=choose, args=(worker,)) for worker in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return chosen


def test_two_workers_that_want_the_last_point_do_not_lose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    study, samplers, trials = two_workers(TWELVE, before=11)
    chosen = in_step(study, samplers, trials, TWELVE, monkeypatch)
    for trial, params in zip(trials, chosen, strict=True):
        if params is None:
            study.tell(trial.number, state=optuna.trial.TrialState.PRUNED)
    if chosen == [None, None]:
        # Neither took it: then it must still be there.
        study.optimize(Objective(TWELVE), n_trials=3)
        assert len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE])) == 12
    else:
        assert chosen.count(None) == 1
