"""A user's FILE.py: what its functions must take and return."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from qspinn_optuna.cli.errors import CommandError

if TYPE_CHECKING:
    from qspinn_optuna.space import QuantizationSpace
    from qspinn_optuna.workloads import Workload

_METHODS = ("evaluate", "describe")


@dataclass(frozen=True)
class UserFile:
    """A loaded FILE.py.

    Args:
        path: Where it is, absolute.
        module: What is in it.
    """

    path: Path
    module: ModuleType

    @property
    def name(self) -> str:
        """Its name without the suffix, which a study is called by."""
        return self.path.stem

    @property
    def description(self) -> str:
        """What it says of itself."""
        return inspect.getdoc(self.module) or ""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Let the file add arguments of its own to the command line."""
        parser.set_defaults(study=self.name)
        if self._has("add_arguments"):
            self._call("add_arguments", parser)

    def workload(self, arguments: argparse.Namespace) -> Workload:
        """The workload that the file makes.

        Raises:
            CommandError: If it returns something else.
        """
        if not hasattr(self.module, "workload"):
            raise CommandError(f"{self.path.name} must have a function workload(), which returns the workload")
        workload: Workload = self._call("workload", *([arguments] if self._has("add_arguments") else []))
        self._check(workload)
        return workload

    def space(self, workload: Workload) -> QuantizationSpace | None:
        """The search space that the file makes; None if it leaves that to the command.

        Raises:
            CommandError: If it returns something else.
        """
        from qspinn_optuna.space import QuantizationSpace  # noqa: PLC0415

        if not self._has("space"):
            return None
        space = self._call("space", workload)
        if not isinstance(space, QuantizationSpace):
            raise CommandError(f"space of {self.path.name} must return a QuantizationSpace, got {_kind(space)}")
        return space

    def first_trials(self, space: QuantizationSpace) -> list[Mapping[str, Any]]:
        """Parameters of the trials that a new study begins with; none if the file has no such function.

        Raises:
            CommandError: If it returns something else.
        """
        trials = self._call("first_trials", space) if self._has("first_trials") else []
        if not isinstance(trials, Sequence) or not all(isinstance(params, Mapping) for params in trials):
            raise CommandError(
                f"first_trials of {self.path.name} must return a list of dicts, the parameters of trials, "
                f"got {_kind(trials)}"
            )
        return list(trials)

    def controls(self, workload: Workload) -> dict[str, float]:
        """Test accuracies of other networks to compare with, by name; none if the file has no such function.

        Raises:
            CommandError: If it returns something else.
        """
        controls = self._call("controls", workload) if self._has("controls") else {}
        if not isinstance(controls, Mapping) or not all(isinstance(value, float) for value in controls.values()):
            raise CommandError(
                f"controls of {self.path.name} must return a dict of accuracies by name, got {_kind(controls)}"
            )
        return dict(controls)

    def _has(self, name: str) -> bool:
        return hasattr(self.module, name)

    def _call(self, name: str, *arguments: Any) -> Any:
        function = getattr(self.module, name)
        if not callable(function):
            raise CommandError(f"{name} of {self.path.name} must be a function, got {_kind(function)}")
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError as error:
            raise CommandError(
                f"{name} of {self.path.name} is called with {len(arguments) or 'no'} arguments, "
                f"but it is {name}{inspect.signature(function)}: {error}"
            ) from error
        return function(*arguments)

    def _check(self, workload: object) -> None:
        from qspinn_optuna.workloads import missing_members  # noqa: PLC0415

        where = f"workload of {self.path.name} must return a workload"
        if workload is None or isinstance(workload, type):
            raise CommandError(f"{where}, got {workload if workload is None else f'the class {workload.__name__}'}")
        missing = missing_members(workload)
        if missing:
            raise CommandError(f"{where}, got {_kind(workload)}, which has no {', '.join(missing)}")
        uncallable = [name for name in _METHODS if not callable(getattr(workload, name))]
        if uncallable:
            raise CommandError(f"{where}, got {_kind(workload)}, of which {', '.join(uncallable)} is not a method")


def _kind(value: object) -> str:
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
