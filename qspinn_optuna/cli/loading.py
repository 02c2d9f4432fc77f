"""Loading a user's FILE.py by its path, as a module of its own name, and forgetting it at the end."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from qspinn_optuna.cli.errors import CommandError, UsageError, line_of
from qspinn_optuna.cli.user_file import UserFile


@contextmanager
def loaded(path: Path) -> Iterator[UserFile]:
    """Load a file, and unload it at the end.

    It is a module of its own name, so that its classes can be pickled and are called the same in every run, however it
    is started. Modules beside it can be imported, at any time until the end; they are unloaded, too.

    Raises:
        UsageError: If there is no such file, or it has the name of a module that is in use; or what the file itself
            says about the command line, as an ``argparse.ArgumentError``.
        CommandError: If something fails in the file: with the line.
    """
    path = path.resolve()
    _check_path(path)
    beside = _Beside(path)
    with _importable(beside):
        try:
            yield UserFile(path, importlib.import_module(path.stem))
        except CommandError:
            raise
        except argparse.ArgumentError as error:
            raise UsageError(str(error)) from error
        except Exception as error:
            line = _line_in(path, error)
            if line is None:
                raise
            raise CommandError(f"{path.name}, line {line}: {line_of(error)}") from error


@dataclass(frozen=True, eq=False)
class _Beside(MetaPathFinder):
    """Finds a file by its name, and the modules in its folder.

    Args:
        path: The file.
        found: Names of modules that were found there.
    """

    path: Path
    found: set[str] = field(default_factory=set)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None:  # A module in a package, which knows where it is.
            return None
        if fullname == self.path.stem:
            spec = importlib.util.spec_from_file_location(fullname, self.path)
        else:
            spec = PathFinder.find_spec(fullname, [str(self.path.parent)], target)
        if spec is not None:
            self.found.add(fullname)
        return spec


@contextmanager
def _importable(beside: _Beside) -> Iterator[None]:
    """Let what ``beside`` finds be imported, before what is installed; afterwards it is forgotten."""
    before = sys.modules.pop(beside.path.stem, None)
    importlib.invalidate_caches()
    # As with a script, the folder comes before what is installed, and after what is built in.
    sys.meta_path.insert(_position(), beside)
    try:
        yield
    finally:
        sys.meta_path.remove(beside)
        for name in list(sys.modules):
            if name.partition(".")[0] in beside.found:
                del sys.modules[name]
        if before is not None:
            sys.modules[beside.path.stem] = before


def _position() -> int:
    finders: list[Any] = sys.meta_path
    return finders.index(PathFinder) if PathFinder in finders else len(finders)


def _check_path(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"FILE.py must be a Python file with a function workload(), there is no {path}")
    if path.suffix != ".py":
        raise UsageError(f"FILE.py must end with .py, got {path.name}")
    if "." in path.stem:
        raise UsageError(f"FILE.py must have a name without dots, got {path.name}: rename it")
    other = _other_module(path.stem, path)
    if other is not None:
        raise UsageError(f"FILE.py must not have the name of another module, {other}, got {path.name}: rename it")


def _other_module(name: str, path: Path) -> str | None:
    """What else is imported by a name: Python's own, what is loaded already, or what is installed."""
    if name in sys.builtin_module_names or name in sys.stdlib_module_names or name == "__main__":
        return f"{name} of Python"
    if name in sys.modules:
        origin = getattr(sys.modules[name], "__file__", None) or "one in use"
    else:
        spec = importlib.util.find_spec(name)
        origin = None if spec is None else spec.origin
        if origin is None or "site-packages" not in Path(origin).parts:
            return None
    return None if Path(origin).resolve() == path else origin


def _line_in(path: Path, error: Exception) -> int | None:
    """The last line of a file that had to do with an error; None if none had."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None
