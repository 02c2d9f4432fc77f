"""Workers that die, at random moments of every phase of a trial, or at one configuration each time."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path

import numpy as np
import optuna

from faults.events import EventFile
from faults.outcome import Outcome, finished, front_of, given_up_of, outcome_of
from faults.worker import Death, Job, Phase, open_slow_study, start
from faults.workload import SAMPLES, correct_of, key_of, slow_space

LARGEST = 10
"""The largest width; the space has its square of configurations."""

_LATEST = 0.02
"""Seconds after the begin of a phase in which a worker dies."""


def planned_deaths(count: int, seed: int) -> list[Death]:
    """As many deaths in each phase, at random moments."""
    random = np.random.default_rng(seed)
    phases = [list(Phase)[number % len(Phase)] for number in range(count)]
    # Trials are enqueued again after deaths only, so the first retry is a worker's first thing.
    return [
        Death(phase, 1 if phase is Phase.RETRYING else int(random.integers(1, 4)), float(random.uniform(0, _LATEST)))
        for phase in phases
    ]


def with_deaths(url: str, folder: Path, deaths: int, workers: int = 2, seed: int = 0) -> tuple[Outcome, list[str]]:
    """Search a whole space while workers die, and others take their places.

    Args:
        url: The storage.
        folder: For the file of events.
        deaths: Workers that die.
        workers: Workers at a time.
        seed: Of the moments and the samplers.

    Returns:
        What is left, and what is wrong with it.
    """
    events = EventFile(folder / "events")
    job = Job(url, folder / "events", seed, largest=LARGEST)
    study = open_slow_study(job)
    pending = planned_deaths(deaths, seed)
    wrong: list[str] = []
    before: dict[int, tuple[object, ...]] = {}
    running: list[ForkProcess] = []
    number = 0
    while True:
        while len(running) < workers:
            number += 1
            death = pending.pop(0) if pending else None
            running.append(start(Job(url, folder / "events", number, largest=LARGEST, death=death)))
        wait([worker.sentinel for worker in running])
        ended = [worker for worker in running if not worker.is_alive()]
        running = [worker for worker in running if worker.is_alive()]
        now = finished(study)
        wrong += [f"trial {trial} changed" for trial, kept in before.items() if now.get(trial) != kept]
        before = now
        if any(worker.exitcode == 0 for worker in ended):
            break
    for worker in running:
        worker.join()
    if any(worker.exitcode != 0 for worker in running):
        # One died when the space was exhausted: its trial waits for somebody.
        last = start(Job(url, folder / "events", number + 1, largest=LARGEST))
        last.join()
    wrong += _front_differs(study)
    return outcome_of(study, events), wrong


def with_deadly_configuration(url: str, folder: Path) -> tuple[Outcome, int]:
    """Search a whole space one configuration of which kills its worker.

    Returns:
        What is left, and how many workers died.
    """
    deadly = key_of({"weight": 3, "membrane": 4})
    deaths = 0
    for number in range(20):
        worker = start(Job(url, folder / "events", number, largest=5, deadly=deadly))
        worker.join()
        if worker.exitcode == 0:
            break
        deaths += 1
    study = open_slow_study(Job(url, folder / "events", 0, largest=5))
    return outcome_of(study, EventFile(folder / "events")), deaths


def _front_differs(study: optuna.Study) -> Iterator[str]:
    """Whether the front is another than that of all configurations, but those that were given up."""
    space, given_up = slow_space(LARGEST), given_up_of(study)
    undisturbed = set()
    for weight in range(1, LARGEST + 1):
        for membrane in range(1, LARGEST + 1):
            params = {"scheme": "ptq", "rounding": "nearest", "bits.weight": weight, "bits.membrane": membrane}
            config = space.config(params)
            if key_of(config.bits) not in given_up:
                undisturbed.add((space.footprint(config).kib, correct_of(config) / SAMPLES))
    kept = {tuple(trial.values) for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"}
    if front_of(kept) != front_of(undisturbed):
        yield "another front"
