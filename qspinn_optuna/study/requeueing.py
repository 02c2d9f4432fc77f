"""Trials that did not end by themselves, enqueued again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

ATTEMPTS = 3
"""Attempts at a configuration whose process dies, the first one included."""

_FIRST, _HISTORY, _FIXED = "failed_trial", "retry_history", "fixed_params"
"""System attributes as Optuna names them: of trials that retry others, and of enqueued trials."""

_LOGGER = optuna.logging.get_logger("optuna.storages.qspinn")


def enqueue_interrupted(trial: optuna.Trial) -> None:
    """Enqueue a trial again that was interrupted from outside: its configuration is not the reason."""
    interrupted = trial.study._storage.get_trial(trial._trial_id)
    _enqueue(trial.study, interrupted, interrupted.system_attrs.get(_HISTORY, ()))


def enqueue_stale(study: optuna.Study, trial: FrozenTrial) -> None:
    """Enqueue a trial again whose process was killed, up to three attempts at its configuration in all.

    A configuration that is given up counts as suggested, so no sampler of this package suggests it again.

    Args:
        study: The study.
        trial: The trial, which has failed.
    """
    history = [*trial.system_attrs.get(_HISTORY, ()), trial.number]
    if len(history) < ATTEMPTS:
        _enqueue(study, trial, history)
        return
    # As an error, since commands show errors only.
    _LOGGER.error(
        f"Trial {trial.number} ended with its process, as did all {ATTEMPTS} attempts at its configuration: it is not "
        f"tried again. {trial.params}"
    )


def _enqueue(study: optuna.Study, trial: FrozenTrial, history: Sequence[int]) -> None:
    """Enqueue what a trial was enqueued with, and what was suggested for it so far.

    Nothing else goes on: counts, progress and constraints would be taken for those of the next attempt.
    """
    attributes: dict[str, Any] = {
        _FIXED: {**trial.system_attrs.get(_FIXED, {}), **trial.params},
        # Samplers draw for the next attempt what they drew for the first one.
        _FIRST: trial.system_attrs.get(_FIRST, trial.number),
    }
    if history:
        attributes[_HISTORY] = list(history)
    study.add_trial(optuna.create_trial(state=TrialState.WAITING, system_attrs=attributes))
