"""Storages as they are deployed: files, servers of our own, a gRPC proxy in front of one."""

from __future__ import annotations

import multiprocessing
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna

from faults.mysql import MySQL
from faults.ports import free_port
from faults.postgresql import PostgreSQL

_START = 30.0
"""Seconds that a server may take to answer."""

Stored = Callable[[Path], Iterator[str]]


def sqlite(folder: Path) -> Iterator[str]:
    """A database in a file."""
    yield f"sqlite:///{folder / 'studies.db'}"


def journal(folder: Path) -> Iterator[str]:
    """A journal in a file."""
    yield f"journal:///{folder / 'studies.log'}"


def postgresql(folder: Path) -> Iterator[str]:
    """A database on a server."""
    server = PostgreSQL(folder)
    try:
        yield server.url
    finally:
        server.stop()


def mysql(folder: Path) -> Iterator[str]:
    """A database on a server."""
    server = MySQL(folder)
    try:
        yield server.url
    finally:
        server.stop()


def grpc(folder: Path) -> Iterator[str]:
    """Optuna's proxy in front of a PostgreSQL server."""
    server, port = PostgreSQL(folder), free_port()
    proxy = multiprocessing.get_context("spawn").Process(target=_serve, args=(server.url, port), daemon=True)
    proxy.start()
    try:
        _wait_for(port)
        yield f"grpc://localhost:{port}"
    finally:
        proxy.kill()
        proxy.join()
        server.stop()


STORAGES: dict[str, Stored] = {
    "SQLite": sqlite,
    "journal": journal,
    "PostgreSQL": postgresql,
    "MySQL": mysql,
    "gRPC proxy": grpc,
}


@contextmanager
def deployed(name: str, folder: Path) -> Iterator[str]:
    """The URL of a storage that is up for the time of a with statement.

    Args:
        name: A key of ``STORAGES``.
        folder: A folder for its files.
    """
    place = folder / name.replace(" ", "-")
    place.mkdir()
    with contextmanager(STORAGES[name])(place) as url:
        yield url


def _serve(url: str, port: int) -> None:
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.storages.run_grpc_proxy_server(optuna.storages.get_storage(url), host="localhost", port=port)


def _wait_for(port: int) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end:
        try:
            socket.create_connection(("localhost", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"no server at port {port} after {_START:g} s")
