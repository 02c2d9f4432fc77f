"""Studies that the command line names, opened without making anything."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from qspinn_optuna.cli.arguments import STORAGE
from qspinn_optuna.cli.errors import UsageError
from qspinn_optuna.study import (
    check_directions,
    check_settings,
    open_storage,
    other_version,
    source_of,
    space_of,
    without_password,
)
from qspinn_optuna.workloads import Workload

_FILES = ("sqlite", "journal")
"""Schemes of URLs that name a file."""


def open_named_study(arguments: argparse.Namespace) -> optuna.Study:
    """The study that ``--study`` and ``--storage`` name; without ``--study``, the only one that there is.

    Raises:
        UsageError: If there is no such database or study, or another program made the study.
    """
    storage = _existing_storage(arguments.storage)
    names = sorted(optuna.get_all_study_names(storage))
    if not names:
        raise UsageError(f"--storage {without_password(arguments.storage)} has no study: qspinn run FILE.py makes one")
    if arguments.study is None and len(names) > 1:
        raise UsageError(f"--study must be one of {', '.join(names)}: there are several, got none")
    name = names[0] if arguments.study is None else arguments.study
    if name not in names:
        raise UsageError(f"--study must be one of {', '.join(names)}, got {name}")
    study = optuna.load_study(study_name=name, storage=storage)
    check_ours(study)
    return study


def check_ours(study: optuna.Study) -> None:
    """Refuse a study of another program; tell of one of another version.

    Raises:
        UsageError: If it is one.
    """
    try:
        check_directions(study)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if space_of(study) is None:
        raise UsageError(f"--study must be one of qspinn, got {study.study_name}, which another program made")
    line = other_version(study)
    if line is not None:
        print(line, file=sys.stderr)


def check_workload(study: optuna.Study, workload: Workload, arguments: argparse.Namespace) -> None:
    """Refuse a workload that does not describe itself as the one of a study did.

    Raises:
        UsageError: If it is another.
    """
    try:
        check_settings(study, workload.describe())
    except ValueError as error:
        raise UsageError(in_options(str(error), arguments)) from error


def in_options(text: str, arguments: argparse.Namespace) -> str:
    """An error about a study that began differently, with the names of options in place of those of settings."""

    def option(setting: re.Match[str]) -> str:
        return f"--{setting[1].replace('_', '-')} was" if hasattr(arguments, setting[1]) else setting[0]

    return re.sub(r"workload\.(?:\w+\.)*(\w+) was", option, text)


def command_of(study: optuna.Study) -> str | None:
    """The command that makes a study and goes on with it; None if the study does not know its file."""
    source = source_of(study)
    return None if source is None else shlex.join(["qspinn", "run", source.file, *source.options])


def export_line(study: optuna.Study, storage: str) -> str:
    """How the chosen model of a study becomes C."""
    where = [] if storage == STORAGE else ["--storage", without_password(storage)]
    return "Export: " + shlex.join(["qspinn", "export", "--study", study.study_name, *where, "--out", "DIR"])


def open_database(url: str) -> BaseStorage:
    """The database at a URL, made if it is not there.

    Raises:
        UsageError: If it cannot be opened.
    """
    try:
        return open_storage(url)
    except ValueError as error:
        raise UsageError(f"--{error}") from error


def _existing_storage(url: str) -> BaseStorage:
    """The database at a URL; opening a file that is not there would make it."""
    scheme, separator, path = url.partition(":///")
    if not re.match(r"[\w+]+://", url):
        raise UsageError(f'--storage must be a URL such as "sqlite:///qspinn.db", got {without_password(url)}')
    # The scheme may name a driver: sqlite+pysqlite.
    if scheme.partition("+")[0] in _FILES and not (separator and Path(path.partition("?")[0]).is_file()):
        raise UsageError(
            f"--storage must be a database that exists, got {without_password(url)}: qspinn run FILE.py makes one"
        )
    return open_database(url)
