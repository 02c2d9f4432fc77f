"""Databases of studies, opened with settings for several workers."""

from __future__ import annotations

import random
import time
import warnings

import optuna
import sqlalchemy
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

_SQLITE_TIMEOUT = 60
"""Seconds to wait for another process that writes."""

_HEARTBEAT = 60
"""Seconds between the heartbeats of a running trial; a trial without two of them is enqueued again."""

_ATTEMPTS = 20
"""Attempts to open a database whose tables another process is creating."""


def open_storage(url: str) -> RDBStorage:
    """The database at a URL such as "sqlite:///qspinn.db", created if it does not exist.

    A trial whose process was killed is enqueued again a few minutes later, when any worker begins another trial.

    Raises:
        ValueError: If the database cannot be opened.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _connect(url)
        except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError, ValueError, RuntimeError) as error:
            failure = error
            if not _is_being_created(error):
                break
            time.sleep(random.uniform(0.05, 0.2))
    raise ValueError(
        f'storage must be the URL of a database that can be opened, such as "sqlite:///qspinn.db", got {url!r}: '
        f"{str(failure).splitlines()[0]}"
    ) from failure


def _is_being_created(error: Exception) -> bool:
    """Whether another process creates the tables at the same time."""
    return isinstance(error, sqlalchemy.exc.IntegrityError) or "already exists" in str(error)


def _connect(url: str) -> RDBStorage:
    sqlite = url.startswith("sqlite")
    with warnings.catch_warnings():
        # Heartbeats are experimental in Optuna.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = RDBStorage(
            url,
            engine_kwargs={"connect_args": {"timeout": _SQLITE_TIMEOUT}} if sqlite else None,
            heartbeat_interval=_HEARTBEAT,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
        )
    if sqlite:
        # With a write-ahead log, writers do not wait for readers, such as other workers and the dashboard.
        with storage.engine.connect() as connection:
            connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
    return storage
