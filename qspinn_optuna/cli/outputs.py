"""What a command leaves behind beside its text: each file whole or not at all, and a failure stops nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from qspinn_optuna.cli.errors import OutputError, line_of
from qspinn_optuna.partial_files import partial_path, remove_leftovers


class Outputs:
    """Files and publications of a command. Failures are collected, and told at the end by :meth:`check`."""

    def __init__(self) -> None:
        self._failures: list[str] = []
        self._first: Exception | None = None

    def write(self, option: str, path: Path, writer: Callable[[Path], object]) -> bool:
        """Write a file, whole or not at all.

        Args:
            option: The option that asks for the file, which a failure names.
            path: The file.
            writer: Writes to the path that it is given.

        Returns:
            Whether it is written.
        """
        return self.attempt(f"{option} {path}", lambda: write_whole(path, writer))

    def attempt(self, name: str, action: Callable[[], object]) -> bool:
        """Do something that may fail.

        Args:
            name: What a failure is told with.
            action: What to do.

        Returns:
            Whether it is done.
        """
        try:
            action()
        except Exception as error:  # Whatever it is, the rest of the command does not depend on it.
            self._failures.append(f"{name}: {_reason(error)}")
            self._first = self._first or error
            return False
        return True

    def check(self) -> None:
        """End the command if something failed, after all else is printed.

        Raises:
            OutputError: With a line for each failure.
        """
        if self._failures:
            raise OutputError(self._failures) from self._first


def write_whole(path: Path, writer: Callable[[Path], object]) -> None:
    """Write a file beside its place, and put it there when it is complete.

    Args:
        path: The file. Devices and pipes, such as ``/dev/stdout``, are written to as they are.
        writer: Writes to the path that it is given.

    Raises:
        OSError: If it cannot be written; the file is as before.
    """
    if path.exists() and not path.is_file():
        writer(path)
        return
    target = path.resolve()  # A link stays one.
    partial = partial_path(target.parent, target.name)
    with suppress(OSError):
        remove_leftovers(target.parent, target.name)
    try:
        writer(partial)
        partial.replace(target)
    finally:
        with suppress(OSError):
            partial.unlink()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return line_of(error)
