"""What is not yet written of a trial, and how all of it is written at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, _CachedStorage
from optuna.storages._rdb import models
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study.storage.leases import TAKING


@dataclass
class Changes:
    """Changes of a trial.

    Args:
        params: Internal values of parameters, and their distributions.
        user_attrs: User attributes.
        system_attrs: System attributes.
        intermediate_values: Intermediate values by step.
    """

    params: dict[str, tuple[float, BaseDistribution]] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    intermediate_values: dict[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, trial: FrozenTrial) -> Changes:
        """All that a trial has."""
        distributions = trial.distributions
        return cls(
            {
                name: (distributions[name].to_internal_repr(value), distributions[name])
                for name, value in trial.params.items()
            },
            dict(trial.user_attrs),
            dict(trial.system_attrs),
            dict(trial.intermediate_values),
        )

    def __bool__(self) -> bool:
        return bool(self.params or self.user_attrs or self.system_attrs or self.intermediate_values)


def write(
    backend: BaseStorage,
    trial_id: int,
    changes: Changes,
    state: TrialState | None = None,
    values: Sequence[float] | None = None,
) -> bool:
    """Write changes of a trial and then its state: in one transaction of a database, or in one piece of a journal.

    Written again, the same changes do no harm. Other storages write one after another, the state last.

    Args:
        backend: A storage as Optuna gives it to studies.
        trial_id: The trial.
        changes: The changes.
        state: Its new state, if it has one.
        values: The values that come with the state.

    Returns:
        Whether it was done: a trial that does not wait cannot be taken, and does not change then.

    Raises:
        UpdateFinishedTrialError: If the trial has finished already.
    """
    if isinstance(backend, _CachedStorage):
        return _write_to_database(backend._backend, trial_id, changes, state, values)
    if isinstance(backend, JournalStorage) and state is not TrialState.RUNNING:
        return _write_to_journal(backend, trial_id, changes, state, values)
    return _write_one_by_one(backend, trial_id, changes, state, values)


def _write_to_database(
    storage: RDBStorage,
    trial_id: int,
    changes: Changes,
    state: TrialState | None,
    values: Sequence[float] | None,
) -> bool:
    session = storage.scoped_session()
    try:
        if storage.engine.name == "sqlite":
            # SQLite ignores "SELECT ... FOR UPDATE": without a transaction that writes from its beginning, two workers
            # may both read that a trial waits, and both take it.
            session.execute(sqlalchemy.text("BEGIN IMMEDIATE"))
        trial: Any = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
        if trial.state.is_finished():
            raise UpdateFinishedTrialError(f"Trial#{trial.number} has already finished and can not be updated.")
        if state is TrialState.RUNNING and trial.state is not TrialState.WAITING:
            return False
        _add_to_session(storage, session, trial_id, changes)
        if state is None:
            session.commit()
        # Optuna's own code goes on in this session, and commits it.
        elif not RDBStorage.set_trial_state_values(storage, trial_id, state, values):
            raise StorageInternalError(f"The state of trial {trial_id} could not be written.")
        return True
    finally:
        # Nothing is left to undo unless something failed.
        session.rollback()
        session.close()


def _add_to_session(storage: RDBStorage, session: Any, trial_id: int, changes: Changes) -> None:
    known = session.query(models.TrialParamModel.param_name).filter(models.TrialParamModel.trial_id == trial_id)
    written = {name for (name,) in known} if changes.params else set()
    for name, (value, distribution) in changes.params.items():
        if name not in written:
            storage._set_trial_param_without_commit(session, trial_id, name, value, distribution, distribution)
    for model, attributes in (
        (models.TrialUserAttributeModel, changes.user_attrs),
        (models.TrialSystemAttributeModel, changes.system_attrs),
    ):
        for key, value in attributes.items():
            storage._set_trial_attr_without_commit(session, model, trial_id, key, value)
    for step, number in changes.intermediate_values.items():
        storage._set_trial_intermediate_value_without_commit(session, trial_id, step, number)


def _write_to_journal(
    storage: JournalStorage,
    trial_id: int,
    changes: Changes,
    state: TrialState | None,
    values: Sequence[float] | None,
) -> bool:
    logs = [{"trial_id": trial_id, **log} for log in _logs(changes)]
    if state is not None:
        ended = {"datetime_complete": datetime.now(UTC).isoformat(timespec="microseconds")}
        code = JournalOperation.SET_TRIAL_STATE_VALUES
        logs.append({"op_code": code, "trial_id": trial_id, "state": state, "values": values, **ended})
    with storage._thread_lock:
        storage._sync_with_backend()
        trial = storage._replay_result.get_trial(trial_id)
        if trial.state.is_finished():
            raise UpdateFinishedTrialError(f"Trial#{trial.number} has already finished and can not be updated.")
        worker = storage._replay_result.worker_id
        storage._backend.append_logs([{"worker_id": worker, **log} for log in logs])
        _sync(storage)
    return True


def _logs(changes: Changes) -> list[dict[str, Any]]:
    """Changes as a journal has them."""
    of_params: list[dict[str, Any]] = [
        {
            "op_code": JournalOperation.SET_TRIAL_PARAM,
            "param_name": name,
            "param_value_internal": value,
            "distribution": distribution_to_json(distribution),
        }
        for name, (value, distribution) in changes.params.items()
    ]
    of_attributes = [
        {"op_code": code, field: {key: value}}
        for code, field, attributes in (
            (JournalOperation.SET_TRIAL_USER_ATTR, "user_attr", changes.user_attrs),
            (JournalOperation.SET_TRIAL_SYSTEM_ATTR, "system_attr", changes.system_attrs),
        )
        for key, value in attributes.items()
    ]
    code = JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE
    of_steps = [
        {"op_code": code, "step": step, "intermediate_value": value}
        for step, value in changes.intermediate_values.items()
    ]
    return [*of_params, *of_attributes, *of_steps]


def _sync(storage: JournalStorage) -> None:
    """Read all that was written: each entry for a trial that has finished meanwhile raises, and ends the reading."""
    failure = None
    while True:
        try:
            storage._sync_with_backend()
        except UpdateFinishedTrialError as error:
            failure = failure or error
        else:
            break
    if failure is not None:
        raise failure


def _write_one_by_one(
    backend: BaseStorage,
    trial_id: int,
    changes: Changes,
    state: TrialState | None,
    values: Sequence[float] | None,
) -> bool:
    # A trial is taken before it changes, and changes before it ends.
    if state is TrialState.RUNNING and not _take(backend, trial_id):
        return False
    if changes.params:
        written = backend.get_trial(trial_id).params
        for name, (number, distribution) in changes.params.items():
            if name not in written:
                backend.set_trial_param(trial_id, name, number, distribution)
    setters: list[tuple[Callable[[int, Any, Any], None], Mapping[Any, Any]]] = [
        (backend.set_trial_user_attr, changes.user_attrs),
        (backend.set_trial_system_attr, changes.system_attrs),
        (backend.set_trial_intermediate_value, changes.intermediate_values),
    ]
    for set_one, entries in setters:
        for key, value in entries.items():
            set_one(trial_id, key, value)
    return state in (None, TrialState.RUNNING) or backend.set_trial_state_values(trial_id, state, values)


def _take(backend: BaseStorage, trial_id: int) -> bool:
    # Who is killed before the lease is written leaves a trial that can be told from one of plain Optuna.
    if backend.get_trial(trial_id).state is TrialState.WAITING:
        backend.set_trial_system_attr(trial_id, TAKING, True)
    return backend.set_trial_state_values(trial_id, TrialState.RUNNING)
