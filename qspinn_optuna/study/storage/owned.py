"""A trial that this process runs: the only one that changes it, and so the one that knows it best."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study.storage.changes import Changes, write
from qspinn_optuna.study.storage.leases import LEASE, Lease


class OwnedTrial:
    """A running trial of this process, as it is, and what of it the storage does not have yet.

    The trial is replaced, never changed: whoever read it keeps what was read.

    Args:
        study_id: Its study.
        trial: The trial as the storage has it.
        lease: Its lease.
    """

    def __init__(self, study_id: int, trial: FrozenTrial, lease: Lease) -> None:
        self.study_id = study_id
        self.trial = trial
        self.lease = lease
        self.is_lost = False
        """Whether others have ended it, since they took its process for dead."""
        self.lock = threading.RLock()
        """Held while it changes, and while changes are written: they must be there before it ends."""
        self.unwritten = Changes()
        self._unwritten_since = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether its state was told."""
        return self.trial.state.is_finished()

    def set_param(self, name: str, internal: float, distribution: BaseDistribution) -> None:
        """Set a parameter."""
        with self.lock:
            self._changing().params[name] = (internal, distribution)
            trial = self._replaced()
            trial.params = {**trial.params, name: distribution.to_external_repr(internal)}
            trial.distributions = {**trial.distributions, name: distribution}

    def set_user_attr(self, key: str, value: Any) -> None:
        """Set a user attribute."""
        value = _as_stored(value)
        with self.lock:
            self._changing().user_attrs[key] = value
            trial = self._replaced()
            trial.user_attrs = {**trial.user_attrs, key: value}

    def set_system_attr(self, key: str, value: Any) -> None:
        """Set a system attribute."""
        value = _as_stored(value)
        with self.lock:
            self._changing().system_attrs[key] = value
            trial = self._replaced()
            trial.system_attrs = {**trial.system_attrs, key: value}

    def set_intermediate_value(self, step: int, value: float) -> None:
        """Set the value of a step."""
        with self.lock:
            self._changing().intermediate_values[step] = float(value)
            trial = self._replaced()
            trial.intermediate_values = {**trial.intermediate_values, step: float(value)}

    def end(self, state: TrialState, values: Sequence[float] | None) -> None:
        """Give it the state and the values that it ends with."""
        with self.lock:
            trial = self._replaced()
            trial.state = state
            if values is not None:
                trial.values = list(values)

    def renew(self) -> None:
        """Let its lease beat."""
        with self.lock:
            self.lease = self.lease.renewed()
            self.set_system_attr(LEASE, self.lease.to_dict())

    def waits_since(self, moment: float) -> bool:
        """Whether something is unwritten since a moment of the monotonic clock."""
        return bool(self.unwritten) and self._unwritten_since <= moment

    def write(
        self, backend: BaseStorage, state: TrialState | None = None, values: Sequence[float] | None = None
    ) -> None:
        """Write what is not written, and its state if one is given."""
        with self.lock:
            write(backend, self.trial._trial_id, self.unwritten, state, values)
            self.unwritten = Changes()

    def _changing(self) -> Changes:
        if not self.unwritten:
            self._unwritten_since = time.monotonic()
        return self.unwritten

    def _replaced(self) -> FrozenTrial:
        self.trial = copy.copy(self.trial)
        return self.trial


def _as_stored(value: Any) -> Any:
    """A value as storages give it back; what JSON does not know is refused when it is set."""
    return json.loads(json.dumps(value))
