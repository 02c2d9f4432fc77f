"""A Dask cluster on this machine, whose workers run a study."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from distributed import Client
from optuna.samplers import BaseSampler

from faults.crowd import enqueue
from faults.events import EventFile
from faults.outcome import Outcome, outcome_of
from faults.ports import free_port
from faults.worker import Job, open_slow_study
from faults.workload import SlowWorkload, slow_space
from qspinn_optuna import MemoryAwareSampler, QuantizationObjective, run_on_dask

_START = 60.0
"""Seconds that a cluster may take to have its workers."""


def with_queue_on_dask(url: str, folder: Path, workers: int = 4, trials: int = 200, queued: int = 24) -> Outcome:
    """As :func:`.crowd.with_queue`, with Dask's workers."""
    events = EventFile(folder / "events")
    study = open_slow_study(Job(url, folder / "events", 0))
    keys = enqueue(study, queued)
    objective = QuantizationObjective(SlowWorkload(0.03, partial(_tell, events)), slow_space())
    with _cluster(workers) as address:
        run_on_dask(study, objective, trials, scheduler=address, sampler=_sampler)
    return outcome_of(study, events, keys)


def _tell(events: EventFile, what: str, key: str) -> None:
    events.tell(what, key)


def _sampler(seed: int) -> BaseSampler:
    return MemoryAwareSampler(slow_space(), seed=seed)


@contextmanager
def _cluster(workers: int) -> Iterator[str]:
    address = f"tcp://localhost:{free_port()}"
    module = [sys.executable, "-m"]
    commands = [
        [*module, "distributed.cli.dask_scheduler", "--port", address.rpartition(":")[2], "--no-dashboard"],
        [*module, "distributed.cli.dask_worker", address, "--nworkers", str(workers), "--nthreads", "1"],
    ]
    # Workers import this package, wherever they are started.
    places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    processes = [
        subprocess.Popen(one, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) for one in commands
    ]
    try:
        _wait_for_workers(address, workers)
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def _wait_for_workers(address: str, workers: int) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end:
        try:
            with Client(address, timeout=5) as client:  # type: ignore[no-untyped-call]
                client.wait_for_workers(workers, timeout=_START)
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise RuntimeError(f"no Dask cluster of {workers} workers after {_START:g} s")
