"""Files that cannot be used: full disks, damaged databases, folders without rights, torn journals."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from faults.events import EventFile
from faults.outcome import finished
from faults.worker import Job, open_slow_study, start
from qspinn_optuna.study import open_storage

_UNPRIVILEGED = 65534
"""The user "nobody", who may not write what belongs to root."""


@dataclass(frozen=True)
class Refusal:
    """What became of a file that cannot be used.

    Args:
        lines: Lines of the message; 0 if the file was opened.
        text: The message.
        is_unchanged: Whether the file is what it was.
    """

    lines: int
    text: str
    is_unchanged: bool


def refusals(folder: Path) -> Iterator[tuple[str, Refusal]]:
    """Try to open every kind of unusable file, and tell what became of it."""
    for name, damage in _DAMAGES.items():
        place = folder / damage.__name__.strip("_")
        place.mkdir(mode=0o755)
        path = place / ("studies.log" if "journal" in name else "studies.db")
        _make(path)
        damage(path)
        yield name, _refusal(path)
    yield "a folder that cannot be written", _without_rights(folder / "unwritable", file=False)
    yield "a file that cannot be written", _without_rights(folder / "read-only", file=True)


def with_full_disk(kind: str, folder: Path, seconds: float = 5.0) -> tuple[int, int, str]:
    """Fill a small file system while a worker runs, and make room again.

    Args:
        kind: "sqlite" or "journal".
        folder: An empty folder, where the file system is mounted.
        seconds: How long it is full.

    Returns:
        Trials that were finished when the disk was full, those that changed or are missing at the end, and how the
        worker ended.

    Raises:
        PermissionError: If this user may not mount.
    """
    with _small_disk(folder):
        url = f"sqlite:///{folder / 'studies.db'}" if kind == "sqlite" else f"journal:///{folder / 'studies.log'}"
        events = folder.with_name(f"{folder.name}-events")
        job = Job(url, events, 0, trials=60, seconds=0.05)
        study = open_slow_study(job)
        worker = start(job)
        while len(finished(study)) < 10:
            time.sleep(0.05)
        filler = folder / "filler"
        _fill(filler)
        time.sleep(1.0)
        before = finished(study)
        time.sleep(seconds)
        filler.unlink()
        worker.join()
        after = finished(open_slow_study(job))
        errors = [event.key for event in EventFile(events).read() if event.what == "error"]
        end = "went on to the end" if worker.exitcode == 0 else f"ended: {errors[-1] if errors else 'killed'}"
        return len(before), sum(after.get(number) != kept for number, kept in before.items()), end


def _make(path: Path) -> None:
    """A storage with some trials."""
    url = f"journal:///{path}" if path.suffix == ".log" else f"sqlite:///{path}"
    study = open_slow_study(Job(url, path.with_name("events"), 0))
    for number in range(20):
        params = {"scheme": "ptq", "rounding": "nearest", "bits.weight": 1 + number % 16, "bits.membrane": 4}
        study.enqueue_trial(params)


def _zero_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[:4096] = bytes(4096)
    path.write_bytes(content)


def _destroyed_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for start_of_page in range(4096, len(content), 4096):
        content[start_of_page : start_of_page + 64] = os.urandom(64)
    path.write_bytes(content)


def _foreign(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE contacts (name TEXT)")
        connection.commit()


def _text(path: Path) -> None:
    path.write_text("Dear diary,\n" * 1_000)


def _damaged_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][: len(lines[2]) // 2] + b"\n"
    path.write_bytes(b"".join(lines))


def _foreign_journal(path: Path) -> None:
    path.write_text('{"name": "Ada", "role": "user"}\n')


_DAMAGES: dict[str, Callable[[Path], None]] = {
    "zeros where the header was": _zero_bytes,
    "every page but the first destroyed": _destroyed_page,
    "a database of another program": _foreign,
    "a text file": _text,
    "a journal with a damaged line": _damaged_line,
    "a journal of another program": _foreign_journal,
}


def _refusal(path: Path) -> Refusal:
    before = _digest(path)
    url = f"journal:///{path}" if path.suffix == ".log" else f"sqlite:///{path}"
    try:
        study = open_slow_study(Job(url, path.with_name("events"), 0))
        study.get_trials()
    except Exception as error:
        text = str(error)
        return Refusal(len(text.splitlines()), text, _digest(path) == before)
    return Refusal(0, "opened", _digest(path) == before)


def _digest(path: Path) -> str:
    """Of a file, and of the names beside it."""
    names = sorted(other.name for other in path.parent.iterdir() if other.name != "events")
    content = path.read_bytes() if path.is_file() else b""
    return hashlib.sha256(content + repr(names).encode()).hexdigest()


def _without_rights(place: Path, *, file: bool) -> Refusal:
    """What an unprivileged user is told, in a process of its own."""
    place.mkdir(mode=0o755)
    path = place / "studies.db"
    if file:
        _make(path)
        path.chmod(0o444)
    place.chmod(0o777 if file else 0o555)
    before = _digest(path)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_open_unprivileged, args=(f"sqlite:///{path}", there))
    child.start()
    text: str = here.recv()
    child.join()
    return Refusal(len(text.splitlines()), text, _digest(path) == before)


def _open_unprivileged(url: str, channel: Connection) -> None:
    if os.getuid() == 0:
        os.setuid(_UNPRIVILEGED)
    try:
        open_storage(url)
    except ValueError as error:
        channel.send(str(error))
    else:
        channel.send("")


@contextlib.contextmanager
def _small_disk(folder: Path, megabytes: int = 32) -> Iterator[None]:
    if os.getuid() != 0:
        raise PermissionError("mounting a small file system needs root")
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(path: Path) -> None:
    """Leave not a byte free."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        for size in (65_536, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
