"""A server of a database that stops, drops connections, or has none left, while workers run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pymysql

from faults.events import EventFile
from faults.mysql import MySQL
from faults.outcome import Outcome, outcome_of
from faults.postgresql import PostgreSQL
from faults.worker import Job, open_slow_study, start

_BEFORE = 5
"""Evaluations that each worker has begun, about, when the outage comes."""

Server = PostgreSQL | MySQL


def stopped(server: Server, seconds: float) -> None:
    """Let the server crash, and start it again later."""
    server.stop()
    time.sleep(seconds)
    server.start()


def dropped(server: Server, _seconds: float = 0.0) -> None:
    """End all connections of workers, several times."""
    for _ in range(5):
        server.drop_connections()
        time.sleep(0.5)


def crowded(server: Server, seconds: float) -> None:
    """Take all connections of a server, so that workers get none for a while."""
    end = time.monotonic() + seconds
    taken: list[psycopg.Connection | pymysql.Connection[Any]] = []
    server.drop_connections()
    while time.monotonic() < end:
        try:
            taken.append(server.take_connection())
        except (psycopg.OperationalError, pymysql.OperationalError):
            time.sleep(0.05)
    for connection in taken:
        connection.close()


def with_outage(
    make: type[PostgreSQL] | type[MySQL],
    folder: Path,
    outage: Callable[[Server, float], None],
    seconds: float,
    workers: int = 4,
    trials: int = 100,
) -> Outcome:
    """Run trials on a server that is not there for a while.

    Args:
        make: What makes the server.
        folder: For the server's files.
        outage: What happens to it.
        seconds: How long.
        workers: Workers.
        trials: Trials in all.
    """
    events = folder / "events"
    place = folder / "server"
    place.mkdir()
    server = make(place, connections=30)
    try:
        study = open_slow_study(Job(server.url, events, 0))
        jobs = [Job(server.url, events, seed, trials=trials // workers, seconds=0.2) for seed in range(workers)]
        running = [start(job) for job in jobs]
        while sum(EventFile(events).counts("training").values()) < _BEFORE * workers:
            time.sleep(0.1)
        outage(server, seconds)
        for worker in running:
            worker.join()
        return outcome_of(study, EventFile(events))
    finally:
        server.stop()
