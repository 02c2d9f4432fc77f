"""SQLite files: what is in them before they are opened, and trials that are taken by one worker only."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import BaseModel
from optuna.trial import TrialState

_TABLES = {"studies", "trials", "version_info"}
"""Tables that every database of Optuna has; another program may have one of these names, but hardly all of them."""


class SQLiteStorage(RDBStorage):
    """An SQLite database, in which a waiting trial is taken by one worker only.

    SQLite ignores ``SELECT ... FOR UPDATE``: without a transaction that writes from its beginning, two workers may both
    read that a trial waits, and both take it.
    """

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Change the state of a trial; whether this call did it."""
        session = self.scoped_session()
        try:
            # Optuna's own code goes on in this session, and so in this transaction.
            session.execute(sqlalchemy.text("BEGIN IMMEDIATE"))
            return super().set_trial_state_values(trial_id, state, values)
        finally:
            # Nothing is left to undo unless the transaction could not begin.
            session.rollback()


def check_file(path: Path) -> None:
    """Refuse a file that is not a database of Optuna, or cannot be written, before anything is written to it.

    Raises:
        ValueError: If it is one; the file is not changed.
    """
    if path.is_dir():
        raise ValueError("it is a folder: give the path of a file")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {path.parent}: make it first")
    if not path.exists() or path.stat().st_size == 0:
        _check_writable(path.parent)
        return
    _check_tables(path)
    _check_writable(path)


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


def _check_writable(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise ValueError(f"{path} cannot be written: give it write permission, or another file")
