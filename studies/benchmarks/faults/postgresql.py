"""A PostgreSQL server of our own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import psycopg

from faults.ports import free_port

_TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'studies' AND pid <> pg_backend_pid()"
)


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
        with psycopg.connect(self._plain_url(database), autocommit=True) as connection:
            connection.execute(command)

    def drop_connections(self) -> None:
        """End all connections of workers."""
        self.execute(_TERMINATE)

    def take_connection(self) -> psycopg.Connection:
        """Take one of the connections that workers can have.

        Raises:
            psycopg.OperationalError: If none is left.
        """
        return psycopg.connect(self._plain_url("studies"))

    def _plain_url(self, database: str) -> str:
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
