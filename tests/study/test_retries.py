"""What a trial that is tried again keeps, when it is given up, and what happens if queuing it is interrupted."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.sampler import MemoryAwareSampler
from qspinn_optuna.sampler.by_name import make_sampler
from qspinn_optuna.sampler.known_objective import draws, history
from qspinn_optuna.study import DIRECTIONS, DurableStorage, enqueue_interrupted
from qspinn_optuna.study.storage import retries
from qspinn_optuna.study.storage.leases import Watch
from qspinn_optuna.study.storage.retries import ATTEMPTS, is_superseded, requeue
from tests.fake_workload import fake_space


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(directions=DIRECTIONS)


def evaluate(trial: optuna.Trial) -> tuple[float, float]:
    number = trial.suggest_int("number", 0, 10_000)
    return number, number


def stale(study: optuna.Study) -> FrozenTrial:
    """The next trial of a study, whose process has died while it was evaluated."""
    trial = study.ask()
    trial.suggest_int("number", 0, 10_000)
    trial.set_user_attr("training_progress", [0.2])
    study._storage.set_trial_system_attr(trial._trial_id, "constraints", [-1.0])
    return study.trials[trial.number]


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    requeue(study._storage, study._study_id, trial, is_attempt=True)


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def test_a_retry_has_the_parameters_and_nothing_that_was_measured(study: optuna.Study) -> None:
    trial = stale(study)
    retry(study, trial)
    assert states(study) == ["FAIL", "WAITING"]
    assert study.trials[1].user_attrs == {}
    assert "constraints" not in study.trials[1].system_attrs
    study.optimize(evaluate, n_trials=1)
    assert study.trials[1].params == trial.params
    assert optuna.storages.RetryHeartbeatStaleTrialCallback.retry_history(study.trials[1]) == [0]


def test_what_was_enqueued_and_died_before_it_was_asked_for_is_tried_with_its_values(study: optuna.Study) -> None:
    study.enqueue_trial({"number": 77})
    study.ask()
    retry(study, study.trials[0])
    study.optimize(evaluate, n_trials=1)
    assert study.trials[1].params == {"number": 77}


def test_what_a_sampler_claimed_and_nobody_asked_for_is_tried(study: optuna.Study) -> None:
    assert retries.SUGGESTED == history.SUGGESTED
    trial = study.ask()
    study._storage.set_trial_system_attr(trial._trial_id, history.SUGGESTED, {"number": 77})
    retry(study, study.trials[0])
    study.optimize(evaluate, n_trials=1)
    assert study.trials[1].params == {"number": 77}


def test_a_trial_of_which_nothing_is_known_has_a_retry_that_draws_the_same(study: optuna.Study) -> None:
    study.ask()
    retry(study, study.trials[0])
    assert states(study) == ["FAIL", "WAITING"]
    assert draws.first_attempt(study.trials[1]) == 0


def test_what_a_trial_did_after_it_was_seen_to_run_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")
    storage = DurableStorage(backend)
    study = optuna.create_study(storage=storage, directions=DIRECTIONS)
    claims, tells = (
        backend.create_new_trial(study._study_id, optuna.create_trial(state=TrialState.RUNNING)) for _ in range(2)
    )

    def stale(_: Watch, trials: Sequence[FrozenTrial], now: float) -> list[FrozenTrial]:
        del now
        backend.set_trial_system_attr(claims, history.SUGGESTED, {"number": 77})
        backend.set_trial_state_values(tells, TrialState.COMPLETE, [1.0, 1.0])
        return list(trials)

    monkeypatch.setattr(Watch, "stale", stale)
    assert storage.retry_stale(study._study_id) == [0]
    assert states(study) == ["FAIL", "COMPLETE", "WAITING"]
    assert study.trials[2].system_attrs["fixed_params"] == {"number": 77}


def test_a_configuration_that_kills_its_process_is_given_up(
    study: optuna.Study, shown: pytest.LogCaptureFixture
) -> None:
    for _ in range(ATTEMPTS):
        retry(study, stale(study))
    assert states(study) == ["FAIL"] * ATTEMPTS
    assert len({trial.params["number"] for trial in study.trials}) == 1
    assert study.trials[-1].system_attrs["qspinn:given_up"]
    assert "not tried again" in shown.text


def test_a_retry_that_somebody_took_and_ended_meanwhile_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = InMemoryStorage()
    study = optuna.create_study(storage=DurableStorage(backend), directions=DIRECTIONS)
    retry(study, stale(study))
    listed = backend.get_all_trials

    def take_and_end(study_id: int, deepcopy: bool, states: Container[TrialState] | None = None) -> Any:
        trials = copy.deepcopy(listed(study_id, deepcopy, states))
        if states == (TrialState.WAITING,) and trials:
            backend.set_trial_state_values(trials[0]._trial_id, TrialState.RUNNING)
            backend.set_trial_state_values(trials[0]._trial_id, TrialState.COMPLETE, [1.0, 1.0])
        return trials

    monkeypatch.setattr(backend, "get_all_trials", take_and_end)
    # As if it had just been queued here.
    monkeypatch.setattr(DurableStorage, "retry_stale", lambda *_: [0])
    assert study._storage.create_new_trial(study._study_id) == 2
    assert states(study) == ["FAIL", "COMPLETE", "RUNNING"]


def test_an_interruption_is_no_attempt_and_does_not_hide_those_of_before(study: optuna.Study) -> None:
    retry(study, stale(study))
    for _ in range(ATTEMPTS):
        trial = study.ask()
        enqueue_interrupted(trial)
        study.tell(trial, state=TrialState.FAIL)
    assert study.trials[-1].system_attrs["retry_history"] == [0]
    assert study.trials[-1].system_attrs["fixed_params"] == study.trials[0].params


def test_who_is_killed_between_retry_and_end_leaves_a_trial_that_is_only_ended(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = stale(study)
    with monkeypatch.context() as patch:
        patch.setattr(study._storage, "set_trial_state_values", killed)
        with pytest.raises(SystemExit):
            retry(study, trial)
    assert states(study) == ["RUNNING", "WAITING"]
    retry(study, trial)
    assert states(study) == ["FAIL", "WAITING"]


def killed(*_: object) -> None:
    raise SystemExit


def test_of_twins_the_first_is_tried_and_a_result_of_the_trial_itself_makes_both_needless(study: optuna.Study) -> None:
    trial = stale(study)
    retry(study, trial)
    study.add_trial(study.trials[1])
    trials = study.trials
    assert [is_superseded(one, trials) for one in trials[1:]] == [False, True]
    trials[0].state = TrialState.COMPLETE
    assert [is_superseded(one, trials) for one in trials[1:]] == [True, True]


def test_a_trial_that_ends_while_it_is_retried_stays_as_it_ended(study: optuna.Study) -> None:
    trial = stale(study)
    study.tell(0, [1.0, 1.0])
    retry(study, trial)
    assert states(study) == ["COMPLETE", "WAITING"]


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["memory-aware", "random"])
def test_a_trial_that_is_interrupted_while_it_is_asked_for_is_queued_at_once(
    name: str, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = fake_space()
    study.sampler = make_sampler(name, space, 0)
    queued = space.params(space.uniform(3, space.schemes[0], space.roundings[0]))
    queued.pop("rounding")
    study.enqueue_trial(queued)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryAwareSampler, "_rank", interrupted)
        patch.setattr(optuna.samplers.RandomSampler, "sample_independent", interrupted)
        with pytest.raises(KeyboardInterrupt):
            study.ask(space.distributions)
    assert states(study) == ["RUNNING", "WAITING"]
    again = study.ask(space.distributions)
    assert queued.items() <= again.params.items()
