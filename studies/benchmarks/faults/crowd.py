"""Several workers on one study, with trials that wait for them."""

from __future__ import annotations

from pathlib import Path

import optuna

from faults.events import EventFile
from faults.outcome import Outcome, outcome_of
from faults.worker import Job, open_slow_study, start
from faults.workload import key_of


def with_queue(url: str, folder: Path, workers: int = 4, trials: int = 200, queued: int = 24) -> Outcome:
    """Run trials, some of which are queued before the workers start.

    Args:
        url: The storage.
        folder: For the file of events.
        workers: Workers, which share the trials evenly.
        trials: Trials in all.
        queued: How many of them are queued.
    """
    job = Job(url, folder / "events", 0)
    study = open_slow_study(job)
    keys = enqueue(study, queued)
    started = [start(Job(url, folder / "events", seed, trials=trials // workers)) for seed in range(workers)]
    for worker in started:
        worker.join()
    return outcome_of(study, EventFile(folder / "events"), keys)


def enqueue(study: optuna.Study, count: int) -> list[str]:
    """Queue different configurations; gives them as keys."""
    keys = []
    for number in range(count):
        widths = {"weight": 1 + number // 16, "membrane": 1 + number % 16}
        params = {f"bits.{name}": width for name, width in widths.items()}
        study.enqueue_trial({"scheme": "ptq", "rounding": "nearest", **params})
        keys.append(key_of(widths))
    return keys
