"""A storage in which every running trial has a lease, and those whose processes ended are tried again."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Container
from contextlib import suppress
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages._heartbeat import BaseHeartbeat, is_heartbeat_enabled
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study.storage.buffered import BufferedStorage
from qspinn_optuna.study.storage.changes import Changes, write
from qspinn_optuna.study.storage.leases import LEASE, Lease, Watch, is_leased
from qspinn_optuna.study.storage.outages import StudyDeletedError
from qspinn_optuna.study.storage.owned import OwnedTrial
from qspinn_optuna.study.storage.processes import Process
from qspinn_optuna.study.storage.pulse import Pulse
from qspinn_optuna.study.storage.retries import drop, is_retry, is_superseded, requeue

_LOGGER = optuna.logging.get_logger("optuna.storages.qspinn")


class LeasedStorage(BufferedStorage):
    """A storage in which a trial has a lease from the moment that it runs.

    Args:
        backend: The storage.
        interval: Seconds between two renewals of a lease.
        grace: Seconds without a renewal after which a trial is taken to have ended.
        delay: Seconds after which what a running trial stores is written.
        patience: Seconds that an outage of the storage may last.
    """

    def __init__(self, backend: BaseStorage, *, interval: float, grace: float, delay: float, patience: float) -> None:
        super().__init__(backend, patience)
        self._delay = delay
        self._studies: dict[int, int] = {}
        """The studies of trials that wait."""
        self._names: dict[int, str] = {}
        """The names of studies that run here."""
        self._watches: defaultdict[int, Watch] = defaultdict(lambda: Watch(interval, grace))
        self._watching = threading.Lock()
        self._told_of_others: set[int] = set()
        self._pulse = Pulse(self, interval, delay)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial; without a template, this process runs it, and it may be a retry instead of a new one."""
        if template_trial is not None:
            return super().create_new_trial(study_id, template_trial)
        try:
            retry = self._take_retry(study_id) if self.retry_stale(study_id) else None
            return self._begin(study_id) if retry is None else retry
        except KeyError:
            self._check_exists(study_id)
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
            with suppress(UpdateFinishedTrialError):  # Somebody has taken and ended it since it was seen to wait.
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
        if study_id not in self._names:
            self._names[study_id] = self.get_study_name_from_id(study_id)
        self._owned[trial._trial_id] = OwnedTrial(study_id, trial, lease)
        self._pulse.start()

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Set a parameter of a trial, which is written soon: it must not be lost if its process is killed."""
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
        self._pulse.hurry()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials of a study, by number."""
        try:
            trials = super().get_all_trials(study_id, deepcopy, states)
        except KeyError:
            self._check_exists(study_id)
            raise
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

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """The user attributes of a study."""
        try:
            return super().get_study_user_attrs(study_id)
        except KeyError:
            self._check_exists(study_id)
            raise

    def _check_exists(self, study_id: int) -> None:
        """Tell of a study that ran here, and that somebody has deleted."""
        if study_id not in self._names:
            return
        try:
            # NOTE: names and directions may be remembered.
            self._call(self._backend.get_study_user_attrs, study_id)
        except KeyError:
            raise StudyDeletedError(f"storage: study {self._names[study_id]!r} was deleted while it ran") from None

    def retry_stale(self, study_id: int) -> list[int]:
        """Queue the trials again whose processes have ended, or are silent; their numbers.

        Trials of processes that keep no leases, such as plain Optuna, are left alone, unless the storage was made with
        Optuna's heartbeat, and that says that they have ended.
        """
        running = super().get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        others = [trial for trial in running if trial._trial_id not in self._owned]
        with self._watching:
            stale = self._watches[study_id].stale(others, time.monotonic())
        stale += self._stale_of_others(study_id, [trial for trial in others if not is_leased(trial)])
        # Before it ended, a process may have told its trial, or claimed a configuration, since the trials were read.
        read = super().get_trial
        stale = [trial for trial in (read(one._trial_id) for one in stale) if not trial.state.is_finished()]
        for trial in stale:
            requeue(self, study_id, trial, is_attempt=True)
        return [trial.number for trial in stale]

    def _stale_of_others(self, study_id: int, running: list[FrozenTrial]) -> list[FrozenTrial]:
        """Which running trials without leases have ended."""
        if not running:
            return []
        if is_heartbeat_enabled(self._engine):
            assert isinstance(self._engine, BaseHeartbeat)
            stale = self._call(self._engine._get_stale_trial_ids, study_id)
            return [trial for trial in running if trial._trial_id in stale]
        if study_id not in self._told_of_others:
            self._told_of_others.add(study_id)
            numbers = [trial.number for trial in running]
            _LOGGER.warning(
                f"storage: a program that keeps no leases, such as plain Optuna, runs trials {numbers}: they are left "
                "alone. If it has ended, study.tell(NUMBER, state=TrialState.FAIL) ends them"
            )
        return []

    def beat(self, now: float, *, renews: bool) -> None:
        """Write what waits, and renew leases: see :class:`Pulse`."""
        owned = [one for one in list(self._owned.values()) if not one.has_ended and not one.is_lost]
        try:
            for one in owned:
                if renews:
                    one.renew()
                if renews or one.unwritten.params or one.waits_since(now - self._delay):
                    self._write_quietly(one)
            for study_id in {one.study_id for one in owned} if renews else ():
                self.retry_stale(study_id)
        except Exception as error:
            # Whoever needs the storage waits for it, or tells what is wrong. Others could not renew their leases.
            _LOGGER.debug(f"storage: {self._patience.line_of(error)}")
            for watch in self._watches.values():
                watch.forget()
        finally:
            self._engine.remove_session()

    def _write_quietly(self, owned: OwnedTrial) -> None:
        try:
            owned.write(self._backend)
        except UpdateFinishedTrialError:
            owned.is_lost = not owned.has_ended

    def release(self) -> None:
        """Queue the trials again that this process began and does not end."""
        with self._patience.over():
            for owned in list(self._owned.values()):
                if not owned.has_ended and owned.lease.process == Process.current():
                    self._release(owned)

    def _release(self, owned: OwnedTrial) -> None:
        try:
            requeue(self, owned.study_id, owned.trial, is_attempt=False)
        except Exception as error:
            # The process is at its end: others will see that it is.
            _LOGGER.debug(f"storage: {self._patience.line_of(error)}")
