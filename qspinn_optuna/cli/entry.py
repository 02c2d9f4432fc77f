"""Where a command line begins: which command, of which file, and what is said at its end."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qspinn_optuna.cli.errors import exit_code_of
from qspinn_optuna.cli.loading import loaded
from qspinn_optuna.cli.parser import make_parser, make_run_parser, parse_run, split_run

PROGRAM = "qspinn"

_KEPT = "what is finished is kept, and the same command goes on"
"""By a run that is interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command ``qspinn``.

    Example:
        >>> main(["run", "my_network.py", "--trials", "20"])  # doctest: +SKIP
        >>> main(["show", "--storage", f"sqlite:///{folder}/none.db"])  # there is no such database
        2

    Args:
        arguments: Its arguments; those of this process if not given.

    Returns:
        The exit code: 0, 2 if the command line is to blame, 130 if it was interrupted, 143 if it was
        terminated, 1 if something else failed.

    Raises:
        SystemExit: At the end of ``--help`` and ``--version``, and if the command line cannot be parsed.
    """
    given = _given(arguments)
    kept = "" if split_run(given) is None else _KEPT
    return exit_code_of(partial(_execute, given), PROGRAM, verbose="--verbose" in given, kept=kept)


def main_of_file(path: str | Path, arguments: Sequence[str] | None = None) -> int:
    """What ``qspinn run`` does with a file, for a file that is run as a script.

    Example:
        >>> sys.exit(main_of_file(__file__))  # doctest: +SKIP

    Args:
        path: The file.
        arguments: The command line; that of this process if not given.

    Returns:
        The exit code, as of :func:`main`.

    Raises:
        SystemExit: As by :func:`main`.
    """
    path, given = Path(path), _given(arguments)
    run = partial(_execute_run, path, given, path.name)
    return exit_code_of(run, path.name, verbose="--verbose" in given, kept=_KEPT)


def _given(arguments: Sequence[str] | None) -> list[str]:
    return list(sys.argv[1:] if arguments is None else arguments)


def _execute(given: list[str]) -> None:
    of_run = split_run(given)
    if of_run is not None:
        file, options = of_run
        _execute_run(Path(file), options, f"{PROGRAM} run {file}")
        return
    arguments = make_parser().parse_args(given)
    _command(arguments.command).execute(arguments)


def _execute_run(path: Path, options: list[str], program: str) -> None:
    with loaded(path) as file:
        parser = make_run_parser(program, file.description)
        file.add_arguments(parser)
        arguments = parse_run(parser, options)
        _command("run").execute(arguments, file, options)


def _command(name: str) -> Any:
    """The module of a command: what it imports takes seconds, and is needed only when it runs."""
    return importlib.import_module(f"qspinn_optuna.cli.{name}")
