"""The result of a trial, told once: to the trial itself, or as a new one if others have ended it meanwhile."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study.storage.buffered import BufferedStorage
from qspinn_optuna.study.storage.changes import Changes
from qspinn_optuna.study.storage.leases import Lease
from qspinn_optuna.study.storage.locking import locked
from qspinn_optuna.study.storage.owned import OwnedTrial
from qspinn_optuna.study.storage.patient import PatientStorage
from qspinn_optuna.study.storage.retries import LATE_RESULT_OF, RETRY_ATTRIBUTES, drop, waiting_retries
from qspinn_optuna.study.storage.unsaved import unsaved_in

_WITH_RESULT = (TrialState.COMPLETE, TrialState.PRUNED)


def tell(storage: BufferedStorage, owned: OwnedTrial, state: TrialState, values: Sequence[float] | None) -> int:
    """Write the result of an owned trial; returns which trial has it.

    Raises:
        StorageError: If it cannot be written.
        UpdateFinishedTrialError: If somebody told another result.
    """
    trial_id = owned.trial._trial_id
    try:
        storage.write(owned, state, values)
    except UpdateFinishedTrialError:
        stored = storage.get_stored_trial(trial_id)
        if stored.state is state and (values is None or stored.values == list(values)):
            # A call before this one wrote it, though its connection broke.
            return trial_id
        if stored.state is not TrialState.FAIL:
            raise
        return _add_late_result(storage, owned, state, values)
    return trial_id


def _add_late_result(
    storage: BufferedStorage, owned: OwnedTrial, state: TrialState, values: Sequence[float] | None
) -> int:
    """Keep the result of a trial that others took for dead, and have retried."""
    number = owned.trial.number
    late = copy.copy(owned.trial)
    late.state, late.datetime_complete = state, datetime.now()
    if values is not None:
        late.values = list(values)
    kept = {name: value for name, value in late.system_attrs.items() if name not in RETRY_ATTRIBUTES}
    late.system_attrs = {**kept, LATE_RESULT_OF: number}
    trial_id = PatientStorage.create_new_trial(storage, owned.study_id, late)
    for retry in waiting_retries(storage.get_all_trials(owned.study_id, deepcopy=False), number):
        with suppress(UpdateFinishedTrialError):  # Somebody has taken and ended it since it was seen to wait.
            if PatientStorage.set_trial_state_values(storage, retry._trial_id, TrialState.RUNNING):
                drop(storage, retry)
    return trial_id


def take_in_unsaved(storage: BufferedStorage, study_id: int, folder: Path) -> list[int]:
    """Tell the results that could not be told before, from the files of a folder, which go away.

    Args:
        storage: The storage of the study.
        study_id: The study. Files of other studies, or of other storages, stay as they are.
        folder: The folder.

    Returns:
        The numbers of the trials.
    """
    taken = []
    for path, trial in unsaved_in(folder, storage.get_study_name_from_id(study_id)):
        # NOTE: for writing, which some systems want for a lock. Another worker may have taken it in meanwhile.
        with path.open("rb+") as file, locked(file):
            if path.exists() and _take_in(storage, study_id, trial):
                path.unlink()
                taken.append(trial.number)
    return taken


def _take_in(storage: BufferedStorage, study_id: int, trial: FrozenTrial) -> bool:
    """Whether a result belongs to a study, and is in it now."""
    trials = storage.get_all_trials(study_id, deepcopy=False)
    stored = trials[trial.number] if trial.number < len(trials) else None
    lease = Lease.of(trial)
    if stored is None or lease is None or _token_of(stored) != lease.token:
        return False
    is_late = any(
        other.system_attrs.get(LATE_RESULT_OF) == trial.number and _token_of(other) == lease.token for other in trials
    )
    if is_late or stored.state in _WITH_RESULT:
        return True
    trial._trial_id = stored._trial_id
    owned = OwnedTrial(study_id, trial, lease)
    owned.unwritten = Changes.of(trial)
    tell(storage, owned, trial.state, trial.values)
    return True


def _token_of(trial: FrozenTrial) -> str | None:
    lease = Lease.of(trial)
    return None if lease is None else lease.token
