"""A MySQL server of our own: MariaDB, which speaks the same protocol."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pymysql

from faults.ports import free_port

_START = 60.0
"""Seconds that a server may take to answer."""


class MySQL:
    """A server that keeps its files in a folder, for one user on this machine.

    Args:
        folder: An empty folder.
        connections: Connections that it accepts at a time; one more is kept for the administrator.

    Raises:
        FileNotFoundError: If it is not installed.
    """

    def __init__(self, folder: Path, connections: int = 100) -> None:
        self._folder = folder
        self._port = free_port()
        self._connections = connections
        # The server refuses to run as root.
        self._user = "mysql" if os.getuid() == 0 else None
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        data = f"--datadir={folder / 'data'}"
        install = [_program("mariadb-install-db"), "--no-defaults", data, "--auth-root-authentication-method=normal"]
        with (folder / "output").open("w") as file:
            subprocess.run(
                install, stdout=file, stderr=subprocess.STDOUT, user=self._user, cwd=folder, check=True, timeout=_START
            )
        self.start()
        self._execute(
            "CREATE DATABASE studies CHARACTER SET utf8mb4",
            "CREATE USER qspinn@localhost IDENTIFIED BY 'secret'",
            "GRANT ALL ON studies.* TO qspinn@localhost",
        )

    @property
    def url(self) -> str:
        """Where workers find it."""
        return f"mysql+pymysql://qspinn:secret@127.0.0.1:{self._port}/studies"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "datadir": self._folder / "data",
            "port": self._port,
            "bind-address": "127.0.0.1",
            "socket": self._folder / "socket",
            "max-connections": self._connections,
        }
        command = [_program("mariadbd"), "--no-defaults", *(f"--{name}={value}" for name, value in settings.items())]
        with (self._folder / "log").open("a") as file:
            self._process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, user=self._user, cwd=self._folder
            )
        end = time.monotonic() + _START
        while True:
            try:
                self._connect().close()
                return
            except pymysql.OperationalError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        """Stop it as a crash does."""
        self._process.kill()
        self._process.wait()

    def drop_connections(self) -> None:
        """End all connections of workers."""
        self._execute("KILL USER qspinn")

    def take_connection(self) -> pymysql.Connection[Any]:
        """Take one of the connections that workers can have.

        Raises:
            pymysql.OperationalError: If none is left.
        """
        return self._connect("studies", user="qspinn", password="secret")

    def _execute(self, *commands: str) -> None:
        with self._connect() as connection, connection.cursor() as cursor:
            for command in commands:
                cursor.execute(command)

    def _connect(self, database: str | None = None, user: str = "root", password: str = "") -> pymysql.Connection[Any]:
        return pymysql.connect(host="127.0.0.1", port=self._port, user=user, password=password, database=database)


def _program(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise FileNotFoundError("MariaDB is not installed: apt-get install mariadb-server, or leave its rows out")
    return path
