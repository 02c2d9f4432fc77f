"""Studies that the command line names, opened without making anything."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from qspinn_optuna.cli.arguments import STORAGE
from qspinn_optuna.cli.errors import UsageError
from qspinn_optuna.study import (
    DIRECTIONS,
    DifferentStudyError,
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


_DIMENSIONS = "space.dimensions."

_OF_DIMENSIONS = {"bits": "--bits", "scheme": "--schemes", "rounding": "--roundings"}
"""Options by the dimensions of a space that they narrow."""


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
    if tuple(study.directions) != DIRECTIONS or space_of(study) is None:
        raise UsageError(f"--study must be a study of qspinn, got {study.study_name}, which another program made")
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
        raise UsageError(in_options(error, arguments)) from error


def in_options(error: ValueError, arguments: argparse.Namespace | None = None) -> str:
    """An error about a study, with the names of options in place of those of settings, as far as there are some.

    Args:
        error: The error.
        arguments: The command line, which has the options of a file.
    """
    if not isinstance(error, DifferentStudyError):
        return str(error)

    def option(what: str) -> str:
        if what.startswith("workload."):
            setting = what.rpartition(".")[2]
            return f"--{setting.replace('_', '-')}" if hasattr(arguments, setting) else what
        if not what.startswith(_DIMENSIONS):
            return what
        dimension, _, parameter = what.removeprefix(_DIMENSIONS).partition(".")
        return " ".join(filter(None, [_OF_DIMENSIONS.get(dimension, what), parameter]))

    return error.told(option, "another --study")


def command_of(
    study: optuna.Study, storage: str, instead: Collection[str] = (), more: Sequence[str] = ()
) -> str | None:
    """The command that makes a study and goes on with it; None if the study does not know its file.

    Args:
        study: The study.
        storage: Where it is; a copy of a database may be elsewhere than the command had it.
        instead: Names of options of the command that are left out.
        more: Options that it has besides.
    """
    source = source_of(study)
    if source is None:
        return None
    options = _without(source.options, {"--storage", *instead})
    return shlex.join(["qspinn", "run", source.file, *options, *_where(storage), *more])


def choose_command(study: optuna.Study, storage: str, options: Sequence[str]) -> str:
    """The command that chooses another model of a study."""
    return shlex.join(["qspinn", "choose", "--study", study.study_name, *_where(storage), *options])


def _without(options: Sequence[str], names: Collection[str]) -> list[str]:
    """Options of a command line without some, and without the values of these."""
    kept, dropped = [], False
    for option in options:
        if option.startswith("--"):
            dropped = option.partition("=")[0] in names
        if not dropped:
            kept.append(option)
    return kept


def export_line(study: optuna.Study, storage: str) -> str:
    """How the chosen model of a study becomes C."""
    return "Export: " + shlex.join(["qspinn", "export", "--study", study.study_name, *_where(storage), "--out", "DIR"])


def _where(storage: str) -> list[str]:
    """The option that names a storage, unless it is the usual one."""
    return [] if storage == STORAGE else ["--storage", without_password(storage)]


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
