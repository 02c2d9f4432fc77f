"""Opening a storage by its URL."""

from __future__ import annotations

import random
import re
import time
import warnings
from pathlib import Path

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, GrpcStorageProxy, InMemoryStorage, JournalStorage, RDBStorage

from qspinn_optuna.study.storage.durable import DurableStorage
from qspinn_optuna.study.storage.journal import JournalFile, check_journal
from qspinn_optuna.study.storage.outages import StorageError, reason_of
from qspinn_optuna.study.storage.secrets import passwords_in, without_password
from qspinn_optuna.study.storage.sqlite import check_file, check_place

_SQLITE_TIMEOUT = 60
"""Seconds to wait for another process that writes."""

_PROXY_TIMEOUT = 10
"""Seconds to wait for the proxy of a gRPC URL."""

_ATTEMPTS = 20
"""Attempts to open a database that will be ready soon."""

_PASSING = re.compile(
    "already exists|starting up|shutting down|terminating connection|closed the connection|too many clients"
    "|connection slots|Too many connections|Lost connection|has gone away|Connection was killed|shutdown in progress"
)
"""What databases say that will be ready soon: other workers create the tables, or take the last connections."""

_DRIVERS = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "pymysql": "pymysql[rsa]",
    "MySQLdb": "mysqlclient",
}
"""What has to be installed for the module of a driver, where it is not the module's name."""


def open_storage(url: str) -> BaseStorage:
    """The storage at a URL, created if it does not exist; a :class:`DurableStorage` unless it is in memory.

    Args:
        url: A database as SQLAlchemy names it, such as "sqlite:///qspinn.db" or "postgresql+psycopg://user@host/name",
            a journal file, "journal:///qspinn.log", or a proxy of Optuna, "grpc://host:port". As for SQLite, a path
            that begins at the root has four slashes.

    Raises:
        ValueError: If it cannot be opened, or is of another program; it is not changed then. The error does not show a
            password.
    """
    for _ in range(_ATTEMPTS):
        try:
            return durable(_connect(url))
        except (sqlalchemy.exc.SQLAlchemyError, StorageError, ImportError, OSError, ValueError, RuntimeError) as error:
            failure = error
            if not _passes_soon(error):
                break
            time.sleep(random.uniform(0.05, 0.2))
    # NOTE: "from None": the chained error of a driver would show the password in a traceback.
    raise ValueError(
        'storage must be the URL of a database that can be opened, such as "sqlite:///qspinn.db", got '
        f"{without_password(url)!r}: {_reason(failure, url)}"
    ) from None


def durable(storage: BaseStorage) -> BaseStorage:
    """A storage that loses nothing; one in memory, which loses all, stays as it is."""
    return storage if isinstance(storage, DurableStorage) or _is_in_memory(storage) else DurableStorage(storage)


def _is_in_memory(storage: BaseStorage) -> bool:
    engine = getattr(storage, "_backend", storage)
    if isinstance(engine, RDBStorage):
        url = engine.engine.url
        return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")
    return isinstance(storage, InMemoryStorage)


def retry_interrupted(study: optuna.Study) -> list[int]:
    """Queue the trials again whose processes have ended, as workers do when they begin a trial.

    A process that looks after workers calls it when one of them has died, or all have ended.

    Args:
        study: A study whose storage :func:`open_storage` gave; nothing is done for others.

    Returns:
        The numbers of the trials.
    """
    storage = study._storage
    return storage.retry_stale(study._study_id) if isinstance(storage, DurableStorage) else []


def write_now(trial: optuna.Trial) -> None:
    """Write what a running trial has stored so far, if its storage waits with that."""
    storage = trial.study._storage
    if isinstance(storage, DurableStorage):
        storage.write_now(trial._trial_id)


def _passes_soon(error: Exception) -> bool:
    """Whether another process creates the tables at the same time, or a server is full or starts."""
    return isinstance(error, sqlalchemy.exc.IntegrityError) or _PASSING.search(reason_of(error)) is not None


def _reason(error: Exception, url: str) -> str:
    """An error in a line, without the password of a URL."""
    if isinstance(error, ImportError):
        return _how_to_install(error)
    line = reason_of(error)
    for password in passwords_in(url):
        line = line.replace(password, "***")
    return without_password(line)


def _how_to_install(error: ImportError) -> str:
    # Optuna raises an error of its own from that of the import, which knows the module.
    cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
    if cause.name is None:
        return f"its driver cannot be imported: {cause}"
    return f'its driver {cause.name} is not installed: pip install "{_DRIVERS.get(cause.name, cause.name)}"'


def _connect(url: str) -> BaseStorage:
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "journal":
        return _open_journal(rest)
    if separator and scheme == "grpc":
        return _open_proxy(rest)
    if sqlalchemy.make_url(url).get_backend_name() == "sqlite":
        return _open_sqlite(url)
    # A connection that the server has closed meanwhile, as a restarted one does, is replaced before it is used.
    return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})


def _open_sqlite(url: str) -> RDBStorage:
    file = sqlalchemy.make_url(url).database
    if file and file != ":memory:" and not file.startswith("file:"):
        check_file(Path(file))
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _SQLITE_TIMEOUT}})
    # With a write-ahead log, writers do not wait for readers, such as other workers and the dashboard.
    with storage.engine.connect() as connection:
        connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
    return storage


def _open_journal(path: str) -> JournalStorage:
    if not path.startswith("/") or path == "/":
        raise ValueError("give a file: journal:///FILE, with four slashes if its path begins at the root")
    file = Path(path[1:])
    check_place(file)
    check_journal(file)
    return JournalStorage(JournalFile(file))


def _open_proxy(address: str) -> GrpcStorageProxy:
    host, separator, port = address.rstrip("/").rpartition(":")
    if not (separator and host and port.isdecimal()):
        raise ValueError("give the host and the port of the proxy: grpc://HOST:PORT")
    with warnings.catch_warnings():
        # The proxy is experimental in Optuna.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = GrpcStorageProxy(host=host, port=int(port))
    try:
        storage.wait_server_ready(timeout=_PROXY_TIMEOUT)
    except ConnectionError as error:
        storage.close()
        raise ValueError(f"no proxy answers there within {_PROXY_TIMEOUT} seconds") from error
    return storage
