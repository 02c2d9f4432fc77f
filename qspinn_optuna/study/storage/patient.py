"""A storage that waits out the outages of another one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Sequence
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, RDBStorage, _CachedStorage
from optuna.storages import get_storage as storage_of_studies
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study.storage.changes import Changes, write
from qspinn_optuna.study.storage.outages import Patience
from qspinn_optuna.study.storage.secrets import passwords_in

_P = ParamSpec("_P")
_T = TypeVar("_T")

_CREATION = "qspinn:creation"
"""System attribute of a trial: tells the call that created it from all others."""


class PatientStorage(BaseStorage):
    """Any storage, whose errors are waited out: a database that is restarted, a connection that is lost, a full disk.

    Args:
        backend: The storage.
        patience: Seconds that an outage may last.
    """

    def __init__(self, backend: BaseStorage, patience: float) -> None:
        self._backend = storage_of_studies(backend)
        # Optuna's cache closes no connections.
        self._engine = self._backend._backend if isinstance(self._backend, _CachedStorage) else self._backend
        secrets = passwords_in(self._engine.url) if isinstance(self._engine, RDBStorage) else ()
        self._patience = Patience(patience, self._engine.remove_session, secrets)

    def _call(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return self._patience.wait_out(lambda: function(*args, **kwargs))

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Create a study."""
        return self._call(self._backend.create_new_study, directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        self._call(self._backend.delete_study, study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a study."""
        self._call(self._backend.set_study_user_attr, study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a system attribute of a study."""
        self._call(self._backend.set_study_system_attr, study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """The study of a name."""
        return self._call(self._backend.get_study_id_from_name, study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """The name of a study."""
        return self._call(self._backend.get_study_name_from_id, study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """The directions of a study."""
        return self._call(self._backend.get_study_directions, study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """The user attributes of a study."""
        return self._call(self._backend.get_study_user_attrs, study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """The system attributes of a study."""
        return self._call(self._backend.get_study_system_attrs, study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        """All studies."""
        return self._call(self._backend.get_all_studies)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial, once: if a connection broke, it may have been created nevertheless."""
        template = (
            optuna.create_trial(state=TrialState.RUNNING) if template_trial is None else copy.copy(template_trial)
        )
        token = uuid4().hex
        template.system_attrs = {**template.system_attrs, _CREATION: token}
        attempts = 0

        def create() -> int:
            nonlocal attempts
            attempts += 1
            known = self._backend.get_all_trials(study_id, deepcopy=False) if attempts > 1 else []
            found = [trial._trial_id for trial in known if trial.system_attrs.get(_CREATION) == token]
            return found[0] if found else self._backend.create_new_trial(study_id, template)

        return self._call(create)

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Set a parameter of a trial."""
        self._call(self._backend.set_trial_param, trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Change the state of a trial; whether this call did it."""
        return self._call(write, self._backend, trial_id, Changes(), state, values)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Report a value of a trial."""
        self._call(self._backend.set_trial_intermediate_value, trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a trial."""
        self._call(self._backend.set_trial_user_attr, trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a system attribute of a trial."""
        self._call(self._backend.set_trial_system_attr, trial_id, key, value)

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """The trial of a number."""
        return self._call(self._backend.get_trial_id_from_study_id_trial_number, study_id, trial_number)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial."""
        return self._call(self._backend.get_trial, trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials of a study, by number."""
        return self._call(self._backend.get_all_trials, study_id, deepcopy, states)

    def remove_session(self) -> None:
        """Close the connection of this thread."""
        self._engine.remove_session()
