"""A worker of a study, in a process of its own, which may be told where to die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.trial import TrialState

from faults.events import EventFile
from faults.workload import SlowWorkload, slow_space
from qspinn_optuna import MemoryAwareSampler, QuantizationObjective, open_study
from qspinn_optuna.sampler.known_objective import SpaceExhausted

STUDY = "faults"


class Phase(StrEnum):
    """What a worker does when it dies."""

    SUGGESTION = "suggestion"
    TRAINING = "training"
    EVALUATION = "evaluation"
    TELLING = "telling"
    RETRYING = "retrying"


@dataclass(frozen=True)
class Death:
    """Where a worker dies, by SIGKILL.

    Args:
        phase: The phase.
        times: How many times it is in this phase when it dies.
        seconds: Since it is in this phase.
    """

    phase: Phase
    times: int
    seconds: float


@dataclass(frozen=True)
class Job:
    """What a worker does.

    Args:
        url: The storage.
        events: The file of events.
        seed: Of the sampler.
        trials: Trials to run; until nothing is left to try if not given.
        seconds: Duration of an evaluation.
        largest: The largest width of the space.
        death: Where it dies, if it does.
        deadly: A configuration that kills the worker.
    """

    url: str
    events: Path
    seed: int
    trials: int | None = None
    seconds: float = 0.03
    largest: int = 16
    death: Death | None = None
    deadly: str | None = None


def start(job: Job) -> ForkProcess:
    """Start a worker."""
    # Importing the package takes seconds, forking none; this process has run no threads of torch.
    worker = multiprocessing.get_context("fork").Process(target=_work, args=(job,))
    worker.start()
    return worker


def open_slow_study(job: Job) -> optuna.Study:
    """The study of a job."""
    space = slow_space(job.largest)
    return open_study(STUDY, job.url, space, MemoryAwareSampler(space, seed=job.seed), SlowWorkload(job.seconds))


def _work(job: Job) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    events = EventFile(job.events)
    tell = _Killer(events, job.death).tell
    _watch_storages(tell)
    try:
        study = open_slow_study(job)
        _watch(study.sampler, "sample_relative", lambda *_: tell(Phase.SUGGESTION, ""))
        space = slow_space(job.largest)
        workload = SlowWorkload(job.seconds, tell, job.deadly)
        study.optimize(QuantizationObjective(workload, space), n_trials=job.trials)
    except SpaceExhausted:
        pass
    except BaseException as error:
        events.tell("error", " ".join("".join(traceback.format_exception(error)).split()))
        os._exit(1)
    events.tell("ended")


class _Killer:
    """Tells events, and kills its process in one of them."""

    def __init__(self, events: EventFile, death: Death | None) -> None:
        self._events = events
        self._death = death
        self._times = 0

    def tell(self, what: str, key: str) -> None:
        self._events.tell(what, key)
        if self._death is None or what != self._death.phase:
            return
        self._times += 1
        if self._times == self._death.times:
            threading.Thread(target=self._die, args=(self._death,), daemon=True).start()

    def _die(self, death: Death) -> None:
        time.sleep(death.seconds)
        self._events.tell(f"dies in {death.phase}")
        os.kill(os.getpid(), signal.SIGKILL)


def _watch_storages(tell: Callable[[str, str], object]) -> None:
    """Tell when trials are told and enqueued again, at whatever storage of Optuna's is at the bottom."""

    def of_state(_storage: BaseStorage, _trial: int, state: TrialState, *_: Any) -> None:
        if state.is_finished():
            tell(Phase.RETRYING if state is TrialState.FAIL else Phase.TELLING, "")

    def of_new(_storage: BaseStorage, _study: int, template: Any = None) -> None:
        if template is not None and template.state is TrialState.WAITING:
            tell(Phase.RETRYING, "")

    for storage in (RDBStorage, JournalStorage):
        _watch(storage, "set_trial_state_values", of_state)
        _watch(storage, "create_new_trial", of_new)


def _watch(owner: Any, name: str, before: Callable[..., object]) -> None:
    """Call something before a method, with its arguments."""
    method = getattr(owner, name)

    def watched(*arguments: Any, **named: Any) -> Any:
        before(*arguments, *named.values())
        return method(*arguments, **named)

    setattr(owner, name, watched)
