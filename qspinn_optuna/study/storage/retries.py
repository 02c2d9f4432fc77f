"""Trials that did not end by themselves, queued again: safe to be interrupted at any moment, and done by many at once.

A retry is added before the trial that it retries becomes FAIL. Whoever is killed in between leaves a running trial that
has a retry already, and the next one only ends it. Two that do it at once may add twins, of which the later is dropped
when a worker takes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

ATTEMPTS = 3
"""Attempts at a configuration whose process dies, the first one included."""

SUGGESTED = "known_objective:params"
"""System attribute of a trial: what a sampler of this package suggested before the objective asked for all of it."""

LATE_RESULT_OF = "qspinn:late_result_of"
"""System attribute of a trial: number of the trial whose result it has, which others had retried meanwhile."""

_RETRY_OF = "qspinn:retry_of"
"""System attribute of a trial: number of the trial that it retries."""

_SUPERSEDED = "qspinn:superseded"
"""System attribute of a retry that another trial made needless."""

_GIVEN_UP = "qspinn:given_up"
"""System attribute of a trial whose configuration is not tried again."""

_FIRST, _HISTORY, _FIXED = "failed_trial", "retry_history", "fixed_params"
"""System attributes as Optuna names them: of trials that retry others, and of enqueued trials."""

RETRY_ATTRIBUTES = frozenset({_RETRY_OF, _FIRST, _HISTORY})
"""System attributes that make a trial a retry."""

_LOGGER = optuna.logging.get_logger("optuna.storages.qspinn")


def enqueue_interrupted(trial: optuna.Trial) -> None:
    """Enqueue a trial again that was interrupted from outside: its configuration is not the reason."""
    storage = trial.study._storage
    add_retry(storage, trial.study._study_id, storage.get_trial(trial._trial_id), is_attempt=False)


@contextmanager
def queued_if_interrupted(study: optuna.Study, trial: FrozenTrial) -> Iterator[None]:
    """Enqueue a trial again if Ctrl-C comes while something is suggested for it.

    Who called ``study.ask(distributions)`` does not get the trial, and so can neither end nor enqueue it. It runs until
    its process ends.
    """
    try:
        yield
    except KeyboardInterrupt:
        storage = study._storage
        add_retry(storage, study._study_id, storage.get_trial(trial._trial_id), is_attempt=False)
        raise


def requeue(storage: BaseStorage, study_id: int, trial: FrozenTrial, *, is_attempt: bool) -> None:
    """Enqueue a running trial again, and end it.

    Args:
        storage: The storage.
        study_id: The study of the trial.
        trial: The trial as it is known.
        is_attempt: Whether it counts as one of the attempts at its configuration.
    """
    add_retry(storage, study_id, trial, is_attempt=is_attempt)
    try:
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        # It has ended after all: whoever takes its retry sees that.
        return


def add_retry(storage: BaseStorage, study_id: int, trial: FrozenTrial, *, is_attempt: bool) -> None:
    """Enqueue what a trial was enqueued with and what was suggested for it, unless it has a retry; three times at most.

    Nothing else goes on: counts, progress and constraints would be taken for those of the next attempt. A configuration
    that is given up counts as suggested, so no sampler of this package suggests it again.
    """
    known = trial.system_attrs
    params = {**known.get(SUGGESTED, {}), **known.get(_FIXED, {}), **trial.params}
    history = [*known.get(_HISTORY, ()), *([trial.number] if is_attempt else [])]
    if _retries(storage.get_all_trials(study_id, deepcopy=False), trial.number):
        return
    if len(history) >= ATTEMPTS:
        _give_up(storage, trial, params)
        return
    attributes: dict[str, Any] = {
        _FIXED: params,
        _RETRY_OF: trial.number,
        # Samplers draw for the next attempt what they drew for the first one, also if nothing was suggested yet.
        _FIRST: known.get(_FIRST, trial.number),
    }
    if history:
        attributes[_HISTORY] = history
    storage.create_new_trial(study_id, optuna.create_trial(state=TrialState.WAITING, system_attrs=attributes))


def _give_up(storage: BaseStorage, trial: FrozenTrial, params: dict[str, Any]) -> None:
    try:
        storage.set_trial_system_attr(trial._trial_id, _GIVEN_UP, True)
    except UpdateFinishedTrialError:
        return
    # As an error, since commands show errors only.
    _LOGGER.error(
        f"Trial {trial.number} ended with its process, as did all {ATTEMPTS} attempts at its configuration: it is not "
        f"tried again. {params}"
    )


def is_retry(trial: FrozenTrial) -> bool:
    """Whether a trial retries another one."""
    return _RETRY_OF in trial.system_attrs


def is_superseded(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
    """Whether a retry is needless: what it retries has a result after all, or an earlier retry.

    Args:
        trial: The retry.
        trials: All trials of its study, by number.
    """
    retried = trial.system_attrs[_RETRY_OF]
    attempts = {retried, *trial.system_attrs.get(_HISTORY, ())}
    has_result = trials[retried].state in (TrialState.COMPLETE, TrialState.PRUNED)
    is_twin = any(other.number < trial.number for other in _retries(trials, retried))
    return has_result or is_twin or any(other.system_attrs.get(LATE_RESULT_OF) in attempts for other in trials)


def drop(storage: BaseStorage, trial: FrozenTrial) -> None:
    """End a needless retry."""
    try:
        storage.set_trial_system_attr(trial._trial_id, _SUPERSEDED, True)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return


def waiting_retries(trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial]:
    """The retries of a trial that nobody has taken."""
    return [trial for trial in _retries(trials, number) if trial.state is TrialState.WAITING]


def _retries(trials: Sequence[FrozenTrial], number: int) -> list[FrozenTrial]:
    return [
        trial
        for trial in trials
        if trial.system_attrs.get(_RETRY_OF) == number and _SUPERSEDED not in trial.system_attrs
    ]
