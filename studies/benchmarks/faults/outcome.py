"""What is left of a study after faults, against what should be left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from faults.events import EventFile
from faults.workload import key_of
from qspinn_optuna.sampler.known_objective.history import SUGGESTED
from qspinn_optuna.study import TrialRecord

Results = dict[str, tuple[float, ...]]
"""The values of every configuration."""


@dataclass(frozen=True)
class Outcome:
    """Counts of what should not be.

    Args:
        complete: Trials that are complete.
        failed: Trials that failed, and were not tried again. One whose worker died before anything was suggested for
            it is none, and neither is a retry that another one made needless.
        given_up: Configurations that are not tried again, since their workers died three times.
        running: Trials that run for ever.
        lost: Configurations that were queued or begun, and neither completed nor given up.
        twice: Configurations that two trials measured.
        attempts: The most attempts at a configuration.
        errors: Workers that ended with an error.
    """

    complete: int
    failed: int
    given_up: int
    running: int
    lost: int
    twice: int
    attempts: int
    errors: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost, left or done twice."""
        return not (self.failed or self.running or self.lost or self.twice or self.errors)


def outcome_of(study: optuna.Study, events: EventFile, queued: Iterable[str] = ()) -> Outcome:
    """Count what is in a study, and what its workers did.

    Args:
        study: The study, without running workers.
        events: What its workers told.
        queued: Configurations that were queued at its beginning.
    """
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    failed = _failed(trials)
    given_up = given_up_of(study)
    begun = events.counts("training")
    measured = Counter(_key(trial) for trial in complete if TrialRecord(trial).duplicate_of is None)
    return Outcome(
        complete=len(complete),
        failed=sum(_key(trial) not in given_up for trial in failed),
        given_up=len(given_up),
        running=sum(trial.state in (TrialState.RUNNING, TrialState.WAITING) for trial in trials),
        lost=len(({*begun, *queued}) - measured.keys() - given_up),
        twice=sum(count > 1 for count in measured.values()),
        attempts=max(begun.values(), default=0),
        errors=len([event for event in events.read() if event.what == "error"]),
    )


def given_up_of(study: optuna.Study) -> set[str]:
    """Configurations that are not tried again, since their workers died three times."""
    failed = _failed(study.get_trials(deepcopy=False))
    return {_key(trial) for trial in failed if len(trial.system_attrs.get("retry_history", ())) >= 2}


def _failed(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials that failed, and were not tried again."""
    retried = {number for trial in trials for number in trial.system_attrs.get("retry_history", ())}
    retried |= {trial.system_attrs.get("qspinn:retry_of") for trial in trials}
    return [
        trial
        for trial in trials
        if trial.state is TrialState.FAIL
        and trial.number not in retried
        and "qspinn:superseded" not in trial.system_attrs
        and (_key(trial) or _was_suggested(trial))
    ]


def finished(study: optuna.Study) -> dict[int, tuple[object, ...]]:
    """What must never change again, by the number of the trial."""
    trials = study.get_trials(deepcopy=False)
    return {
        trial.number: (trial.state, tuple(trial.values or ()), tuple(sorted(trial.params.items())))
        for trial in trials
        if trial.state is TrialState.COMPLETE
    }


def front_of(values: Iterable[tuple[float, ...]]) -> set[tuple[float, ...]]:
    """The points that no other is better than: less memory, more accuracy. By comparing all with all."""
    points = set(values)
    return {
        one for one in points if not any(other != one and other[0] <= one[0] and other[1] >= one[1] for other in points)
    }


def _was_suggested(trial: FrozenTrial) -> bool:
    return bool(trial.system_attrs.get(SUGGESTED))


def _key(trial: FrozenTrial) -> str:
    params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    return key_of({name.removeprefix("bits."): value for name, value in params.items() if name.startswith("bits.")})
