"""Errors of the command line: one line each, and an exit code that says who is to blame."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from qspinn_optuna.termination import Terminated, sigterm_interrupts

_PACKAGE = Path(__file__).parents[1]

INTERRUPTED = 130
"""Exit code of a command that was stopped by Ctrl-C."""

TERMINATED = 143
"""Exit code of a command that was stopped by SIGTERM."""


class CommandError(Exception):
    """Something that a command cannot do, in a line."""

    exit_code = 1


class UsageError(CommandError):
    """A command line that names what is not there, or does not fit together."""

    exit_code = 2


class OutputError(CommandError):
    """Files and publications that failed, a line each.

    Args:
        lines: The lines.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = tuple(lines)


def exit_code_of(command: Callable[[], None], program: str, *, verbose: bool, kept: str = "") -> int:
    """Run a command, and print the error it ends with.

    Args:
        command: What to run.
        program: Name of the program, which the line begins with.
        verbose: Whether to print the traceback of an error, too.
        kept: What is kept if it is interrupted, in words; empty if nothing is.

    Returns:
        0, or the exit code of the error.
    """
    with sigterm_interrupts():
        return _exit_code_of(command, program, verbose=verbose, kept=kept)


def _exit_code_of(command: Callable[[], None], program: str, *, verbose: bool, kept: str) -> int:
    try:
        command()
    except KeyboardInterrupt as interrupt:
        _tell(program, f"stopped: {kept}" if kept else "stopped")
        return TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has seen enough, as `head` has: what is left must go somewhere when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if verbose:
            traceback.print_exc()
        for line in error.lines if isinstance(error, OutputError) else [line_of(error)]:
            _tell(program, f"error: {line}")
        return error.exit_code if isinstance(error, CommandError) else 1
    return 0


def line_of(error: Exception) -> str:
    """An error in a line; errors that this package did not raise itself begin with their type."""
    text = " ".join(str(error).split())
    ours = isinstance(error, CommandError) or _is_raised_here(error)
    return text if ours and text else ": ".join(filter(None, [type(error).__name__, text]))


def _is_raised_here(error: Exception) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).is_relative_to(_PACKAGE)


def _tell(program: str, line: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{program}: {line}\n")
