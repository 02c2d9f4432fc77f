"""A storage that loses nothing: no finished evaluation, and no configuration of a process that ended."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study.storage.leased import LeasedStorage
from qspinn_optuna.study.storage.leases import Lease
from qspinn_optuna.study.storage.outages import StorageError
from qspinn_optuna.study.storage.owned import OwnedTrial
from qspinn_optuna.study.storage.retries import add_retry
from qspinn_optuna.study.storage.telling import take_in_unsaved, tell
from qspinn_optuna.study.storage.unsaved import as_text, save

_P = ParamSpec("_P")
_T = TypeVar("_T")

_LOGGER = optuna.logging.get_logger("optuna.storages.qspinn")


class DurableStorage(LeasedStorage):
    """Any storage of Optuna, so that a study on it loses nothing.

    - Each running trial has a lease, which its process renews. A trial whose process ended, or was silent for too long,
      is queued again, up to three attempts in all. A result that comes late is kept as a trial of its own. Trials of
      programs that keep no leases, such as plain Optuna, are left alone, unless the storage has Optuna's heartbeat.
    - What a running trial stores is written together: with its result, or after a second; what was drawn for it, within
      a tenth. The system attributes by which samplers of several workers know of each other are written at once.
    - Errors of the storage are waited out. A result that cannot be told even so is written to a file in the current
      folder, which :meth:`take_in_unsaved` reads.

    Args:
        backend: The storage, such as an RDBStorage, a JournalStorage, a GrpcStorageProxy or a DaskStorage.
        interval: Seconds between two renewals of a lease.
        grace: Seconds without a renewal after which a trial is taken to have ended.
        delay: Seconds after which what a running trial stores is written.
        patience: Seconds that an outage of the storage may last.
    """

    def __init__(
        self,
        backend: BaseStorage,
        *,
        interval: float = 30,
        grace: float = 150,
        delay: float = 1,
        patience: float = 300,
    ) -> None:
        self._settings = {"interval": interval, "grace": grace, "delay": delay, "patience": patience}
        super().__init__(backend, **self._settings)
        self._of_thread = threading.local()

    def __getstate__(self) -> dict[str, Any]:
        return {"backend": self._backend, **self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _call(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        self._interrupt()
        try:
            return super()._call(function, *args, **kwargs)
        except StorageError:
            self._of_thread.has_failed = True
            raise

    def _interrupt(self) -> None:
        """Go on with an interrupt of this thread that had to wait."""
        interrupt, self._of_thread.interrupt = getattr(self._of_thread, "interrupt", None), None
        if interrupt is not None:
            raise interrupt

    def remove_session(self) -> None:
        """Close the connection of this thread."""
        super().remove_session()
        self._interrupt()

    def _own(self, study_id: int, trial: FrozenTrial, lease: Lease) -> None:
        super()._own(study_id, trial, lease)
        self._of_thread.has_failed = False

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Change the state of a trial; whether this call did it."""
        owned = self._running(trial_id)
        if state is TrialState.RUNNING:
            return owned is None and self._take(trial_id)
        if owned is None or not state.is_finished():
            return super().set_trial_state_values(trial_id, state, values)
        try:
            self._end(owned, state, values)
        except StorageError as error:
            raise StorageError(f"{error}{self._keep(owned, state, values)}") from None
        except KeyboardInterrupt as interrupt:
            # Optuna's loop must see the trial end: the interrupt goes on with the next call.
            self._end_at_once(owned, state, values)
            self._of_thread.interrupt = interrupt
        except KeyError:
            owned.end(state, values)
            self._check_exists(owned.study_id)
            raise
        return True

    def _end(self, owned: OwnedTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """End a trial of this process."""
        trial_id = owned.trial._trial_id
        if state is TrialState.FAIL and self._is_interrupted():
            add_retry(self, owned.study_id, owned.trial, is_attempt=False)
        try:
            result = tell(self, owned, state, values)
        except UpdateFinishedTrialError:
            # Somebody told another result.
            self._owned.pop(trial_id, None)
            raise
        if result != trial_id:
            self._results[trial_id] = result
        self._owned.pop(trial_id, None)

    def _is_interrupted(self) -> bool:
        """Whether a trial fails for a reason that is not its own: an interrupt, or the storage."""
        is_interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)
        return is_interrupted or getattr(self._of_thread, "has_failed", False)

    def _end_at_once(self, owned: OwnedTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """End a trial now, or keep it."""
        with self._patience.over():
            try:
                self._end(owned, state, values)
            except StorageError as error:
                _LOGGER.error(f"{error}{self._keep(owned, state, values)}")

    def _keep(self, owned: OwnedTrial, state: TrialState, values: Sequence[float] | None) -> str:
        """Write a result that could not be told to a file; what to say of it."""
        # What the storage does not know, Optuna's loop has to know, to end with the error and none of its own.
        owned.end(state, values)
        trial, study = owned.trial, self._names[owned.study_id]
        if state is TrialState.FAIL:
            return ""
        try:
            path = save(Path(), study, trial)
        except OSError:
            return f"; the result of trial {trial.number} is: {as_text(study, trial)}"
        return f"; the result of trial {trial.number} is in {path}, which the study takes in when it goes on here"

    def take_in_unsaved(self, study_id: int) -> list[int]:
        """Tell results that could not be told before, from files in the current folder; the numbers of their trials."""
        taken = take_in_unsaved(self, study_id, Path())
        if taken:
            _LOGGER.error(f"storage: results that could not be told before are there now, of trials {taken}")
        return taken
