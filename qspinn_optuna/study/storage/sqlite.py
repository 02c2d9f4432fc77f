"""SQLite files: what is in them before they are opened."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from optuna.storages._rdb.models import BaseModel

_TABLES = {"studies", "trials", "version_info"}
"""Tables that every database of Optuna has; another program may have one of these names, but hardly all of them."""


def check_file(path: Path) -> None:
    """Refuse a file that is not a database of Optuna, or cannot be written, before anything is written to it.

    Raises:
        ValueError: If it is one; the file is not changed.
    """
    check_place(path)
    if path.exists() and path.stat().st_size > 0:
        _check_tables(path)


def check_place(path: Path) -> None:
    """Refuse a path where no file can be written.

    Raises:
        ValueError: If it is one.
    """
    if path.is_dir():
        raise ValueError("it is a folder: give the path of a file")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}: make it first")
    place = path if path.exists() else path.parent
    if not os.access(place, os.W_OK):
        raise ValueError(f"{place} cannot be written: give it write permission, or another file")


def _check_tables(path: Path) -> None:
    try:
        # NOTE: not "immutable": a write-ahead log of another worker may hold the tables.
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60)
        try:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            # Locked, or no rights: what follows tells it.
            return
        raise ValueError(
            f"the file is damaged, or no SQLite database ({error}): give another file, or restore a copy of it"
        ) from error
    # Of a database that another worker is creating, only some tables are there, but no others.
    others = {name for name in tables - BaseModel.metadata.tables.keys() if not name.startswith("sqlite_")}
    if others and not tables >= _TABLES:
        raise ValueError("it is a database of another program, which stays as it is: give another file")
