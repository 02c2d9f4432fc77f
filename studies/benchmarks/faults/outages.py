"""A PostgreSQL server that stops, drops connections, or has none left, while workers run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from faults.events import EventFile
from faults.outcome import Outcome, outcome_of
from faults.storages import PostgreSQL
from faults.worker import Job, open_slow_study, start

_BEFORE = 2.0
"""Seconds that workers run before the outage."""

_TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'studies' AND pid <> pg_backend_pid()"
)


def stopped(server: PostgreSQL, seconds: float) -> None:
    """Let the server crash, and start it again later."""
    server.stop()
    time.sleep(seconds)
    server.start()


def dropped(server: PostgreSQL, _seconds: float = 0.0) -> None:
    """End all connections of workers, several times."""
    for _ in range(5):
        server.execute(_TERMINATE)
        time.sleep(0.5)


def crowded(server: PostgreSQL, seconds: float) -> None:
    """Take all connections of a server, so that workers get none for a while."""
    end, taken = time.monotonic() + seconds, []
    server.execute(_TERMINATE)
    while time.monotonic() < end:
        try:
            taken.append(psycopg.connect(server.plain_url()))
        except psycopg.OperationalError:
            time.sleep(0.05)
    for connection in taken:
        connection.close()


def with_outage(
    folder: Path, outage: Callable[[PostgreSQL, float], None], seconds: float, workers: int = 4, trials: int = 100
) -> Outcome:
    """Run trials on a PostgreSQL server that is not there for a while.

    Args:
        folder: For the server's files.
        outage: What happens to it.
        seconds: How long.
        workers: Workers.
        trials: Trials in all.
    """
    events = folder / "events"
    place = folder / "server"
    place.mkdir()
    server = PostgreSQL(place, connections=30)
    try:
        study = open_slow_study(Job(server.url, events, 0))
        jobs = [Job(server.url, events, seed, trials=trials // workers, seconds=0.2) for seed in range(workers)]
        running = [start(job) for job in jobs]
        time.sleep(_BEFORE)
        outage(server, seconds)
        for worker in running:
            worker.join()
        return outcome_of(study, EventFile(events))
    finally:
        server.stop()
