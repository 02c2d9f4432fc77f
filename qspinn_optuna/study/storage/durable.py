"""A storage that loses nothing: no finished evaluation, and no configuration of a process that ended."""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study.storage import telling
from qspinn_optuna.study.storage.buffered import BufferedStorage
from qspinn_optuna.study.storage.changes import Changes, write
from qspinn_optuna.study.storage.leases import LEASE, Lease, Watch
from qspinn_optuna.study.storage.outages import StorageError, StudyDeletedError
from qspinn_optuna.study.storage.owned import OwnedTrial
from qspinn_optuna.study.storage.processes import Process
from qspinn_optuna.study.storage.pulse import Pulse
from qspinn_optuna.study.storage.retries import add_retry, drop, is_retry, is_superseded, requeue
from qspinn_optuna.study.storage.unsaved import as_text, save

_P = ParamSpec("_P")
_T = TypeVar("_T")

_LOGGER = optuna.logging.get_logger("optuna.storages.qspinn")


class DurableStorage(BufferedStorage):
    """Any storage of Optuna, so that a study on it loses nothing.

    - Each running trial has a lease, which its process renews. A trial whose process ended, or was silent for too long,
      is queued again, up to three attempts in all. A result that comes late is kept as a trial of its own.
    - What a running trial stores is written together: with its result, or after a second. The system attributes by
      which samplers of several workers know of each other are written at once.
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
        super().__init__(backend, patience)
        self._settings = {"interval": interval, "grace": grace, "delay": delay, "patience": patience}
        self._studies: dict[int, int] = {}
        """The studies of trials that wait."""
        self._names: dict[int, str] = {}
        """The names of studies, for files."""
        self._watches: defaultdict[int, Watch] = defaultdict(lambda: Watch(interval, grace))
        self._watching = threading.Lock()
        self._of_thread = threading.local()
        self._pulse = Pulse(self, interval, delay)

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

    # Trials that begin.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial; without a template, this process runs it, and it may be a retry instead of a new one."""
        try:
            if template_trial is not None:
                return super().create_new_trial(study_id, template_trial)
            self.retry_stale(study_id)
            retry = self._take_retry(study_id)
            return self._begin(study_id) if retry is None else retry
        except KeyError:
            self._check_exists(study_id, "no trial can begin")
            raise

    def _begin(self, study_id: int) -> int:
        lease = Lease()
        template = optuna.create_trial(state=TrialState.RUNNING, system_attrs={LEASE: lease.to_dict()})
        trial_id = super().create_new_trial(study_id, template)
        self._own(study_id, super().get_trial(trial_id), lease)
        return trial_id

    def _take_retry(self, study_id: int) -> int | None:
        waiting = super().get_all_trials(study_id, deepcopy=False, states=(TrialState.WAITING,))
        for trial in filter(is_retry, waiting):
            self._studies[trial._trial_id] = study_id
            if self._take(trial._trial_id):
                return trial._trial_id
        return None

    def _take(self, trial_id: int) -> bool:
        """Take a waiting trial; whether it is this process's now."""
        lease = Lease()
        changes = Changes(system_attrs={LEASE: lease.to_dict()})
        is_taken = self._call(write, self._backend, trial_id, changes, TrialState.RUNNING)
        trial = super().get_trial(trial_id)
        # A call before the last one may have taken it, though its connection broke.
        if not is_taken and Lease.of(trial) != lease:
            return False
        study_id = self._study_of(trial_id)
        if is_retry(trial) and is_superseded(trial, super().get_all_trials(study_id, deepcopy=False)):
            drop(self, trial)
            return False
        self._own(study_id, trial, lease)
        return True

    def _own(self, study_id: int, trial: FrozenTrial, lease: Lease) -> None:
        self._of_thread.has_failed = False
        if study_id not in self._names:
            self._names[study_id] = self.get_study_name_from_id(study_id)
        self._owned[trial._trial_id] = OwnedTrial(study_id, trial, lease)
        self._pulse.start()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials of a study, by number."""
        trials = super().get_all_trials(study_id, deepcopy, states)
        if states is not None and TrialState.WAITING in states:
            # One of them may be taken next.
            waiting = [trial._trial_id for trial in trials if trial.state is TrialState.WAITING]
            self._studies |= dict.fromkeys(waiting, study_id)
        return trials

    def _study_of(self, trial_id: int) -> int:
        if trial_id not in self._studies:
            for study in self.get_all_studies():
                trials = super().get_all_trials(study._study_id, deepcopy=False)
                if any(trial._trial_id == trial_id for trial in trials):
                    self._studies[trial_id] = study._study_id
        return self._studies[trial_id]

    def _check_exists(self, study_id: int, consequence: str) -> None:
        """Tell of a study that somebody has deleted."""
        try:
            # NOTE: names and directions may be remembered.
            self._call(self._backend.get_study_user_attrs, study_id)
        except KeyError:
            raise StudyDeletedError(f"storage: the study was deleted while it ran; {consequence}") from None

    # Trials that end.

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Change the state of a trial; whether this call did it."""
        owned = self._running(trial_id)
        if state is TrialState.RUNNING:
            return owned is None and self._take(trial_id)
        if owned is None or not state.is_finished():
            return super().set_trial_state_values(trial_id, state, values)
        self._tell(owned, state, values)
        return True

    def _tell(self, owned: OwnedTrial, state: TrialState, values: Sequence[float] | None) -> None:
        trial_id = owned.trial._trial_id
        try:
            if state is TrialState.FAIL and self._is_interrupted():
                add_retry(self, owned.study_id, owned.trial, is_attempt=False)
            result = telling.tell(self, owned, state, values)
        except StorageError as error:
            owned.end(state, values)
            raise StorageError(f"{error}{self._keep(owned)}") from None
        except KeyboardInterrupt as interrupt:
            # Optuna's loop must see the trial end: the interrupt goes on with the next call.
            owned.end(state, values)
            self._write_or_keep(owned, state, values)
            self._of_thread.interrupt = interrupt
            return
        except KeyError:
            owned.end(state, values)
            self._check_exists(owned.study_id, f"the result of trial {owned.trial.number} is lost")
            raise
        if result != trial_id:
            self._results[trial_id] = result
        del self._owned[trial_id]

    def _is_interrupted(self) -> bool:
        """Whether a trial fails for a reason that is not its own: an interrupt, or the storage."""
        is_interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)
        return is_interrupted or getattr(self._of_thread, "has_failed", False)

    def _write_or_keep(self, owned: OwnedTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Write a result at once, or else to a file."""
        try:
            owned.write(self._backend, state, values)
        except Exception as error:
            _LOGGER.error(f"storage: {self._patience.line_of(error)}{self._keep(owned)}")

    def _keep(self, owned: OwnedTrial) -> str:
        """Write a result that could not be told to a file; what to say of it."""
        trial = owned.trial
        if trial.state is TrialState.FAIL:
            return ""
        study = self._names.get(owned.study_id, "study")
        try:
            path = save(Path(), study, trial)
        except OSError:
            return f"; the result of trial {trial.number} is: {as_text(study, trial)}"
        return f"; the result of trial {trial.number} is in {path}, which the study takes in when it goes on here"

    def take_in_unsaved(self, study_id: int) -> list[int]:
        """Tell results that could not be told before, from files in the current folder; the numbers of their trials."""
        taken = telling.take_in_unsaved(self, study_id, Path())
        if taken:
            _LOGGER.error(f"storage: results that could not be told before are there now, of trials {taken}")
        return taken

    # Trials of other processes.

    def retry_stale(self, study_id: int) -> list[int]:
        """Queue the trials again whose processes have ended, or are silent; their numbers."""
        running = super().get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        others = [trial for trial in running if trial._trial_id not in self._owned]
        with self._watching:
            stale = self._watches[study_id].stale(others, time.monotonic())
        for trial in stale:
            requeue(self, study_id, trial, is_attempt=True)
        return [trial.number for trial in stale]

    def beat(self, now: float, *, renews: bool) -> None:
        """Write what waits, and renew leases: see :class:`Pulse`."""
        owned = [one for one in list(self._owned.values()) if not one.has_ended and not one.is_lost]
        try:
            for one in owned:
                if renews:
                    one.renew()
                if renews or one.waits_since(now - self._settings["delay"]):
                    self._write_quietly(one)
            for study_id in {one.study_id for one in owned} if renews else ():
                self.retry_stale(study_id)
        except Exception as error:
            # Whoever needs the storage waits for it, or tells what is wrong. Others could not renew their leases.
            _LOGGER.debug(f"storage: {self._patience.line_of(error)}")
            for watch in self._watches.values():
                watch.forget()
        finally:
            self._backend.remove_session()

    def _write_quietly(self, owned: OwnedTrial) -> None:
        try:
            owned.write(self._backend)
        except UpdateFinishedTrialError:
            owned.is_lost = not owned.has_ended

    def release(self) -> None:
        """Queue the trials again that this process began and does not end."""
        self._patience.seconds = 0
        for owned in list(self._owned.values()):
            if owned.has_ended or owned.lease.process != Process.current():
                continue
            try:
                requeue(self, owned.study_id, owned.trial, is_attempt=False)
            except Exception as error:
                # The process is at its end: others will see that it is.
                _LOGGER.debug(f"storage: {self._patience.line_of(error)}")
