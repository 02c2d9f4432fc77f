"""What a trial that is tried again keeps, and when it is given up."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from qspinn_optuna.study import DIRECTIONS, enqueue_interrupted
from qspinn_optuna.study.requeueing import ATTEMPTS, enqueue_stale


def evaluate(trial: optuna.Trial) -> tuple[float, float]:
    number = trial.suggest_int("number", 0, 10_000)
    return number, number


def dead(study: optuna.Study) -> optuna.trial.FrozenTrial:
    """The next trial of a study, whose process has died while it was evaluated."""
    trial = study.ask()
    trial.suggest_int("number", 0, 10_000)
    trial.set_user_attr("training_progress", [0.2])
    study._storage.set_trial_system_attr(trial._trial_id, "constraints", [-1.0])
    study.tell(trial, state=TrialState.FAIL)
    return study.trials[trial.number]


def test_a_retry_has_the_parameters_and_nothing_that_was_measured() -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    failed = dead(study)
    enqueue_stale(study, failed)
    waiting = study.trials[-1]
    assert waiting.state is TrialState.WAITING
    assert waiting.user_attrs == {}
    assert "constraints" not in waiting.system_attrs
    study.optimize(evaluate, n_trials=1)
    assert study.trials[1].params == failed.params
    assert optuna.storages.RetryHeartbeatStaleTrialCallback.retry_history(study.trials[1]) == [0]


def test_what_was_enqueued_and_died_before_it_was_asked_for_is_tried_with_its_values() -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    study.enqueue_trial({"number": 77})
    trial = study.ask()
    study.tell(trial, state=TrialState.FAIL)
    enqueue_stale(study, study.trials[0])
    study.optimize(evaluate, n_trials=1)
    assert study.trials[1].params == {"number": 77}


def test_a_configuration_that_kills_its_process_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    optuna.logging.enable_propagation()
    try:
        for _ in range(ATTEMPTS):
            enqueue_stale(study, dead(study))
    finally:
        optuna.logging.disable_propagation()
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * ATTEMPTS
    assert len({trial.params["number"] for trial in study.trials}) == 1
    assert "not tried again" in caplog.text


def test_an_interruption_is_no_attempt_and_does_not_hide_those_of_before() -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    enqueue_stale(study, dead(study))
    for _ in range(ATTEMPTS):
        trial = study.ask()
        enqueue_interrupted(trial)
        study.tell(trial, state=TrialState.FAIL)
    assert study.trials[-1].system_attrs["retry_history"] == [0]
    assert study.trials[-1].system_attrs["fixed_params"] == study.trials[0].params
