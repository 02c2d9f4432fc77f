"""Storages as they are deployed: files, a PostgreSQL server of our own, a gRPC proxy in front of one."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import shutil
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
import psycopg

_START = 30.0
"""Seconds that a server may take to answer."""


class PostgreSQL:
    """A PostgreSQL server that keeps its files in a folder, for one user on this machine.

    Args:
        folder: An empty folder.
        connections: Connections that it accepts at a time.

    Raises:
        FileNotFoundError: If PostgreSQL is not installed.
    """

    def __init__(self, folder: Path, connections: int = 100) -> None:
        self._programs = programs_of_postgresql()
        self._folder = folder
        self._port = free_port()
        # The server refuses to run as root.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        self._run("initdb", "-D", str(folder / "data"), "-U", "qspinn", "--auth=trust", "-E", "UTF8")
        settings = f"port = {self._port}\nmax_connections = {connections}\nunix_socket_directories = '{folder}'\n"
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write(settings)
        self.start()
        self.execute("CREATE DATABASE studies", database="postgres")

    @property
    def url(self) -> str:
        """Where workers find it."""
        return f"postgresql+psycopg://qspinn@localhost:{self._port}/studies"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-l", str(self._folder / "log"), "start")

    def stop(self) -> None:
        """Stop it as a crash does."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-m", "immediate", "stop")

    def execute(self, command: str, database: str = "studies") -> None:
        """Run an SQL command as its administrator."""
        with psycopg.connect(self.plain_url(database), autocommit=True, application_name="faults") as connection:
            connection.execute(command)

    def plain_url(self, database: str = "studies") -> str:
        """Where a client without SQLAlchemy finds it."""
        return f"postgresql://qspinn@localhost:{self._port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        # NOTE: what pg_ctl starts would keep a pipe open, so output goes to a file.
        output = self._folder / "output"
        with output.open("w") as file:
            outcome = subprocess.run(
                command, stdout=file, stderr=subprocess.STDOUT, user=self._user, cwd=self._folder, check=False
            )
        if outcome.returncode != 0:
            raise RuntimeError(f"{program} failed: {output.read_text()}")


def programs_of_postgresql() -> Path:
    """The folder of PostgreSQL's server programs, of the newest version that is installed.

    Raises:
        FileNotFoundError: If there is none.
    """
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    if folders:
        return folders[-1]
    on_path = shutil.which("initdb")
    if on_path is None:
        raise FileNotFoundError("PostgreSQL is not installed: apt-get install postgresql, or leave its rows out")
    return Path(on_path).resolve().parent


def free_port() -> int:
    """A port that no program listens on."""
    with closing(socket.socket()) as one:
        one.bind(("localhost", 0))
        port: int = one.getsockname()[1]
        return port


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


STORAGES: dict[str, Stored] = {"SQLite": sqlite, "journal": journal, "PostgreSQL": postgresql, "gRPC proxy": grpc}


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
