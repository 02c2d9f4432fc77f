"""Leases of running trials: which process runs a trial, and that it still does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import uuid4

from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study.storage.processes import Process

LEASE = "qspinn:lease"
"""System attribute of a trial: its lease."""

TAKING = "qspinn:taking"
"""System attribute of a trial: it is being taken and given a lease, where these two cannot be written as one."""


@dataclass(frozen=True)
class Lease:
    """The right of a process to run a trial.

    Args:
        process: The process.
        token: Tells this lease from all others.
        beat: Goes up as long as the process is alive. A count, since clocks of machines differ and change.
    """

    process: Process = field(default_factory=Process.current)
    token: str = field(default_factory=lambda: uuid4().hex)
    beat: int = 0

    @classmethod
    def of(cls, trial: FrozenTrial) -> Lease | None:
        """The lease of a trial; None if it has none, as those of other programs."""
        kept = trial.system_attrs.get(LEASE)
        if not isinstance(kept, Mapping):
            return None
        try:
            return cls(Process(**kept["process"]), kept["token"], kept["beat"])
        except (KeyError, TypeError):
            return None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def renewed(self) -> Lease:
        """The lease a beat later."""
        return replace(self, beat=self.beat + 1)


def is_leased(trial: FrozenTrial) -> bool:
    """Whether a trial is of a process that keeps leases: the silence of others, such as plain Optuna, means nothing."""
    return Lease.of(trial) is not None or TAKING in trial.system_attrs


class Watch:
    """Watches the running trials of a study for those whose process does not run them any more.

    A process of this machine is seen to be dead at once. Of others, the lease has to stay the same for some time, by
    this process's own clock and over observations that succeed. An observation counts for at most one interval: a
    watcher that was suspended itself does not know who was suspended with it.

    Args:
        interval: Seconds between two beats of a lease, and at most between two observations.
        grace: Seconds without a beat after which a trial is stale.
    """

    def __init__(self, interval: float, grace: float) -> None:
        self._interval = interval
        self._grace = grace
        self.forget()

    def forget(self) -> None:
        """Begin anew, as after an outage of the storage: nobody could renew a lease."""
        self._last: float | None = None
        self._silent: dict[int, tuple[Lease | None, float]] = {}

    def stale(self, trials: Iterable[FrozenTrial], now: float) -> list[FrozenTrial]:
        """The stale ones among trials of processes that keep leases.

        Args:
            trials: Trials as the storage has them now.
            now: Seconds of a clock that never goes back.
        """
        elapsed = 0.0 if self._last is None else min(now - self._last, self._interval)
        self._last = now
        running = [trial for trial in trials if trial.state is TrialState.RUNNING and is_leased(trial)]
        self._silent = {trial._trial_id: self._silence(trial, elapsed) for trial in running}
        return [trial for trial in running if self._is_stale(*self._silent[trial._trial_id])]

    def _silence(self, trial: FrozenTrial, elapsed: float) -> tuple[Lease | None, float]:
        """The lease of a trial, and how long it has been the same."""
        lease, known = Lease.of(trial), self._silent.get(trial._trial_id)
        return lease, known[1] + elapsed if known is not None and known[0] == lease else 0.0

    def _is_stale(self, lease: Lease | None, silence: float) -> bool:
        return silence >= self._grace or (lease is not None and lease.process.is_dead)
