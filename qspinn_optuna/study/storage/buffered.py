"""A storage that writes what its running trials store together."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study.storage.owned import OwnedTrial
from qspinn_optuna.study.storage.patient import PatientStorage

_WRITTEN_LATER = "constraints"
"""What system attributes begin with that other workers need not see before the trial has ended."""


class BufferedStorage(PatientStorage):
    """A storage that knows the running trials of this process, and writes what they store together.

    The system attributes by which samplers of several workers know of each other are written at once, with all else.

    Args:
        backend: The storage.
        patience: Seconds that an outage of the storage may last.
    """

    def __init__(self, backend: BaseStorage, patience: float) -> None:
        super().__init__(backend, patience)
        self._owned: dict[int, OwnedTrial] = {}
        self._results: dict[int, int] = {}
        """Of trials that others ended, the trials that have their late results."""
        self._distributions: dict[tuple[int, str], BaseDistribution] = {}

    def write(self, owned: OwnedTrial, state: TrialState | None = None, values: Sequence[float] | None = None) -> None:
        """Write what is not written of a trial, and its state if one is given."""
        self._call(owned.write, self._backend, state, values)

    def get_stored_trial(self, trial_id: int) -> FrozenTrial:
        """A trial as the storage has it."""
        return super().get_trial(trial_id)

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Set a parameter of a trial."""
        owned = self._running(trial_id)
        if owned is None:
            super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
            return
        self._check_distribution(owned.study_id, param_name, distribution)
        owned.set_param(param_name, param_value_internal, distribution)

    def _check_distribution(self, study_id: int, name: str, distribution: BaseDistribution) -> None:
        """Refuse a distribution that earlier trials do not allow."""
        key = study_id, name
        if key not in self._distributions:
            trials = super().get_all_trials(study_id, deepcopy=False)
            known = (trial.distributions[name] for trial in trials if name in trial.distributions)
            self._distributions[key] = next(known, distribution)
        check_distribution_compatibility(self._distributions[key], distribution)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Report a value of a trial."""
        owned = self._running(trial_id)
        if owned is None:
            super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        else:
            owned.set_intermediate_value(step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a trial."""
        owned = self._running(trial_id)
        if owned is None:
            super().set_trial_user_attr(trial_id, key, value)
        else:
            owned.set_user_attr(key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a system attribute of a trial."""
        owned = self._running(trial_id)
        if owned is None:
            super().set_trial_system_attr(trial_id, key, value)
            return
        owned.set_system_attr(key, value)
        if not key.startswith(_WRITTEN_LATER):
            self.write_now(trial_id)

    def write_now(self, trial_id: int) -> None:
        """Write what a running trial of this process has stored so far."""
        owned = self._running(trial_id)
        if owned is not None and not owned.is_lost:
            try:
                self.write(owned)
            except UpdateFinishedTrialError:
                owned.is_lost = True

    def _running(self, trial_id: int) -> OwnedTrial | None:
        owned = self._owned.get(trial_id)
        return None if owned is None or owned.has_ended else owned

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial; of one that others ended, its late result."""
        owned = self._owned.get(trial_id)
        if owned is not None:
            return copy.deepcopy(owned.trial)
        return super().get_trial(self._results.get(trial_id, trial_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials of a study, by number."""
        trials = super().get_all_trials(study_id, deepcopy, states)
        own = {number: owned.trial for number, owned in list(self._owned.items()) if owned.study_id == study_id}
        if not own:
            return trials
        own = copy.deepcopy(own) if deepcopy else own
        known = [own.get(trial._trial_id, trial) for trial in trials]
        return known if states is None else [trial for trial in known if trial.state in states]
