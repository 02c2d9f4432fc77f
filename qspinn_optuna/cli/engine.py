"""What runs the trials of a command: this process, workers of this machine, or those of a Dask cluster."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType

import optuna
from optuna.samplers import BaseSampler

from qspinn_optuna.cli.errors import CommandError, UsageError, line_of
from qspinn_optuna.cli.loading import loaded
from qspinn_optuna.cli.user_file import UserFile
from qspinn_optuna.objective import QuantizationObjective
from qspinn_optuna.pruning import FrontPruner
from qspinn_optuna.sampler.by_name import make_sampler
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.threads import available_cores
from qspinn_optuna.workers import Progress, UnpicklableError, check_scheduler, check_shared, run_on_dask, run_workers


def check_engine(arguments: argparse.Namespace) -> None:
    """Refuse what cannot run trials, before anything is trained.

    Raises:
        UsageError: If options do not fit together, or there is no such Dask scheduler.
    """
    if arguments.dask is None:
        return
    if arguments.workers > 1:
        raise UsageError(f"--workers must not be given with --dask, which has workers, got {arguments.workers}")
    try:
        check_scheduler(arguments.dask)
    except (ModuleNotFoundError, ValueError) as error:
        raise UsageError(f"--dask: {error}") from error
    arguments.storage = whole_path(arguments.storage)


def check_storage(arguments: argparse.Namespace, storage: optuna.storages.BaseStorage) -> None:
    """Refuse a storage in memory where several processes need it.

    Raises:
        UsageError: If it is one.
    """
    if arguments.workers == 1 and arguments.dask is None:
        return
    try:
        check_shared(storage)
    except ValueError as error:
        raise UsageError(f"--{error}") from error


def run_trials(
    arguments: argparse.Namespace,
    study: optuna.Study,
    objective: QuantizationObjective,
    space: QuantizationSpace,
    path: Path,
) -> None:
    """Run the trials that a command line asks for.

    Args:
        arguments: The command line.
        study: Where they go.
        objective: What each of them calls.
        space: What is searched.
        path: The file that made the workload; workers import it.
    """
    sampler = partial(make_sampler, arguments.sampler, space) if space.cardinality > 1 else None
    if arguments.dask is not None:
        run_on_dask(
            study,
            objective,
            arguments.trials,
            scheduler=arguments.dask,
            sampler=sampler,
            seed=arguments.seed,
            show_progress=True,
            modules=_modules_beside(path),
        )
    elif arguments.workers > 1:
        _run_workers(arguments, study, objective, path, sampler)
    else:
        with Progress(arguments.trials) as progress:
            study.optimize(objective, n_trials=arguments.trials, callbacks=[lambda _, trial: progress.add(trial.state)])


def _run_workers(
    arguments: argparse.Namespace,
    study: optuna.Study,
    objective: QuantizationObjective,
    path: Path,
    sampler: Callable[[int], BaseSampler] | None,
) -> None:
    if arguments.workers > available_cores():
        print(f"{arguments.workers} workers share {available_cores()} cores: more are hardly faster", flush=True)

    def run(evaluated: Callable[[optuna.Trial], tuple[float, float]]) -> None:
        run_workers(
            study,
            evaluated,
            arguments.trials,
            workers=arguments.workers,
            sampler=sampler,
            seed=arguments.seed,
            show_progress=True,
            environment=partial(_importing, path),
        )

    try:
        run(objective)
    except UnpicklableError as error:
        print(f"each worker makes the workload again from {path.name}: {error}", flush=True)
        run(_RemadeObjective(arguments, path, objective.space, objective.pruner))


@dataclass
class _RemadeObjective:
    """The objective of a workload that cannot be pickled: it is made again, once in every worker.

    The study has the baseline's accuracy; trained networks are in the workload's cache, if it has one.

    Args:
        arguments: The command line.
        path: The file, which the worker has imported.
        space: What is searched.
        pruner: As of the objective.
    """

    arguments: argparse.Namespace
    path: Path
    space: QuantizationSpace
    pruner: FrontPruner | None

    def __call__(self, trial: optuna.Trial) -> tuple[float, float]:
        """Evaluate a trial."""
        return self._objective(trial)

    @cached_property
    def _objective(self) -> QuantizationObjective:
        workload = UserFile(self.path, importlib.import_module(self.path.stem)).workload(self.arguments)
        return QuantizationObjective(workload, self.space, seed=self.arguments.seed, pruner=self.pruner)


@contextmanager
def _importing(path: Path) -> Iterator[None]:
    """What a worker does, with the file imported; its errors become lines, as they do without workers."""
    try:
        with loaded(path):
            yield
    except CommandError:
        raise
    except Exception as error:
        raise CommandError(line_of(error)) from error


def _modules_beside(path: Path) -> list[ModuleType]:
    """The module of a file, and those that it has imported from its folder."""
    folder = path.resolve().parent
    return [
        module
        for module in list(sys.modules.values())
        if (file := getattr(module, "__file__", None)) and Path(file).resolve().is_relative_to(folder)
    ]


def whole_path(url: str) -> str:
    """The URL of a file with its whole path: Dask's workers have other current folders."""
    scheme, _, path = url.partition(":///")
    is_file = scheme.partition("+")[0] in ("sqlite", "journal") and not path.startswith((":memory:", "file:"))
    return f"{scheme}:///{Path(path).resolve()}" if is_file and path else url
