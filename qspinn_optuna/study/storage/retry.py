"""Trials whose process was killed, tried again."""

from __future__ import annotations

import optuna
from optuna.trial import FrozenTrial, TrialState

ATTEMPTS = 3
"""Attempts at a configuration whose process dies, the first one included."""

_FIRST, _HISTORY = "failed_trial", "retry_history"
"""System attributes of a trial that retries others, as Optuna names them."""

_FIXED = "fixed_params"
"""System attribute of an enqueued trial, as Optuna names it."""

_LOGGER = optuna.logging.get_logger("optuna.storages.qspinn")


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """Enqueue the configuration of a trial whose process was killed, at most three attempts in all.

    Only its parameters go on: counts, progress and constraints of the dead attempt would be taken for those of the
    next one. A configuration that is given up counts as suggested, so no sampler of this package suggests it again.

    Args:
        study: The study.
        trial: The trial, which has failed.
    """
    history = [*trial.system_attrs.get(_HISTORY, ()), trial.number]
    if len(history) >= ATTEMPTS:
        _LOGGER.warning(
            f"Trial {trial.number} ended with its process, as did all {ATTEMPTS} attempts at its configuration: it is "
            f"not tried again. {trial.params}"
        )
        return
    known = {**trial.system_attrs.get(_FIXED, {}), **trial.params}
    attributes = {_FIRST: history[0], _HISTORY: history, _FIXED: known}
    study.add_trial(optuna.create_trial(state=TrialState.WAITING, system_attrs=attributes))
