"""Opening a database by its URL."""

from __future__ import annotations

import random
import time
import warnings
from pathlib import Path

import optuna
import sqlalchemy
from optuna.storages import RDBStorage

from qspinn_optuna.study.requeueing import enqueue_stale
from qspinn_optuna.study.storage.secrets import passwords_in, without_password
from qspinn_optuna.study.storage.sqlite import SQLiteStorage, check_file

_SQLITE_TIMEOUT = 60
"""Seconds to wait for another process that writes."""

_HEARTBEAT = 60
"""Seconds between the heartbeats of a running trial; a trial without two of them is enqueued again."""

_ATTEMPTS = 20
"""Attempts to open a database whose tables another process is creating."""

_DRIVERS = {"psycopg": "qspinn_optuna[postgresql]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""What has to be installed for the module of a driver, where it is not the module's name."""


def open_storage(url: str) -> RDBStorage:
    """The database at a URL such as "sqlite:///qspinn.db", created if it does not exist.

    A trial whose process was killed is enqueued again a few minutes later, when any worker begins another trial, up to
    three attempts in all.

    Raises:
        ValueError: If the database cannot be opened, or is of another program; it is not changed then. The error does
            not show a password.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _connect(url)
        except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError, ValueError, RuntimeError) as error:
            failure = error
            if not _is_being_created(error):
                break
            time.sleep(random.uniform(0.05, 0.2))
    # NOTE: "from None": the chained error of a driver would show the password in a traceback.
    raise ValueError(
        'storage must be the URL of a database that can be opened, such as "sqlite:///qspinn.db", got '
        f"{without_password(url)!r}: {_reason(failure, url)}"
    ) from None


def _is_being_created(error: Exception) -> bool:
    """Whether another process creates the tables at the same time."""
    return isinstance(error, sqlalchemy.exc.IntegrityError) or "already exists" in str(error)


def _reason(error: Exception, url: str) -> str:
    """The first line of an error, without the password of a URL."""
    if isinstance(error, ImportError):
        return _how_to_install(error)
    line = next(iter(str(error).splitlines()), type(error).__name__)
    for password in passwords_in(url):
        line = line.replace(password, "***")
    return without_password(line)


def _how_to_install(error: ImportError) -> str:
    # Optuna raises an error of its own from that of the import, which knows the module.
    cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
    if cause.name is None:
        return f"its driver cannot be imported: {cause}"
    return f'its driver {cause.name} is not installed: pip install "{_DRIVERS.get(cause.name, cause.name)}"'


def _connect(url: str) -> RDBStorage:
    if sqlalchemy.make_url(url).get_backend_name() == "sqlite":
        return _open_sqlite(url)
    # A connection that the server has closed meanwhile, as a restarted one does, is replaced before it is used.
    return _with_heartbeats(RDBStorage, url, {"pool_pre_ping": True})


def _open_sqlite(url: str) -> RDBStorage:
    file = sqlalchemy.make_url(url).database
    if file and file != ":memory:" and not file.startswith("file:"):
        check_file(Path(file))
    storage = _with_heartbeats(SQLiteStorage, url, {"connect_args": {"timeout": _SQLITE_TIMEOUT}})
    # With a write-ahead log, writers do not wait for readers, such as other workers and the dashboard.
    with storage.engine.connect() as connection:
        connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
    return storage


def _with_heartbeats(kind: type[RDBStorage], url: str, engine: dict[str, object]) -> RDBStorage:
    with warnings.catch_warnings():
        # Heartbeats are experimental in Optuna.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return kind(
            url, engine_kwargs=engine, heartbeat_interval=_HEARTBEAT, heartbeat_stale_trial_callback=enqueue_stale
        )
