"""Journal files that neither a full disk nor a killed process makes unreadable."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages.journal import JournalFileBackend

from qspinn_optuna.study.storage.locking import locked
from qspinn_optuna.study.storage.outages import StorageError

_BLOCK = 65_536
"""Bytes that are read at a time to find the last whole line."""


class JournalFile(JournalFileBackend):
    """A journal in a file, of which each line is whole or not there.

    The file itself is locked while a line is written: the system unlocks it when a process is killed.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write entries, all or none.

        Raises:
            OSError: If they cannot be written; the file is as before then.
        """
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        # NOTE: not buffered: a buffer that could not be written would be tried again when the file is closed.
        with Path(self._file_path).open("ab+", buffering=0) as file, locked(file):
            end = _end_of_lines(file)
            if end < file.seek(0, os.SEEK_END):
                file.truncate(end)
            try:
                _write(file, text.encode())
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(end)
                raise

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The entries from a number on; a line that is not whole yet is left out.

        Raises:
            StorageError: If a line is damaged.
        """
        try:
            yield from super().read_logs(log_number_from)
        except ValueError:
            number = len(self._log_number_offset)
            raise StorageError(
                f"storage: line {number} of {self._file_path} is damaged: restore a copy of the file, or remove it"
            ) from None


def check_journal(path: Path) -> None:
    """Refuse a file that is not a journal of Optuna, or cannot be written, before anything is written to it.

    Raises:
        ValueError: If it is one; the file is not changed.
    """
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        line = file.readline()
    try:
        entry = json.loads(line)
    except ValueError:
        # A first line that is not whole is what is left of a study that could not be created.
        entry = {"op_code": None} if not line.endswith(b"\n") and line.startswith(b'{"') else None
    if not isinstance(entry, dict) or "op_code" not in entry:
        raise ValueError("it is no journal of Optuna, and stays as it is: give another file")


def _end_of_lines(file: BinaryIO) -> int:
    """Where the last whole line ends."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        newline = file.read(end - begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def _write(file: BinaryIO, content: bytes) -> None:
    # A nearly full disk takes a part.
    while content:
        content = content[file.write(content) :]
