"""Where studies are kept: databases by their URL, opened with settings that several workers can share."""

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
"""Seconds after which a running trial says that it is alive; one that does not twice is tried again."""

_ATTEMPTS = 20
"""Of opening a database whose tables another process is making."""


def open_storage(url: str) -> RDBStorage:
    """The database at a URL such as "sqlite:///qspinn.db", made if it is not there.

    A trial whose process was killed is queued again a few minutes later, when any worker begins another one.

    Raises:
        ValueError: If the database cannot be opened.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _connect(url)
        except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError, ValueError, RuntimeError) as error:
            failure = error
            if not _is_being_made(error):
                break
            time.sleep(random.uniform(0.05, 0.2))
    raise ValueError(
        f'storage must be the URL of a database that can be opened, such as "sqlite:///qspinn.db", got {url!r}: '
        f"{str(failure).splitlines()[0]}"
    ) from failure


def _is_being_made(error: Exception) -> bool:
    """Whether another process made, in the same moment, what this one was about to."""
    return isinstance(error, sqlalchemy.exc.IntegrityError) or "already exists" in str(error)


def _connect(url: str) -> RDBStorage:
    sqlite = url.startswith("sqlite")
    with warnings.catch_warnings():
        # Heartbeats are marked as experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = RDBStorage(
            url,
            engine_kwargs={"connect_args": {"timeout": _SQLITE_TIMEOUT}} if sqlite else None,
            heartbeat_interval=_HEARTBEAT,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
        )
    if sqlite:
        # Writers do not wait for readers then: several workers, or the dashboard beside a running study.
        with storage.engine.connect() as connection:
            connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
    return storage
