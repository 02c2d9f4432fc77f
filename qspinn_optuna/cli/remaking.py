"""The workload of a study once more, from the file that it was run from, and one of its trials."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.trial import TrialState

from qspinn_optuna.cli.errors import UsageError
from qspinn_optuna.cli.loading import loaded
from qspinn_optuna.cli.parser import make_run_parser, parse_run
from qspinn_optuna.cli.spaces import space_of_run
from qspinn_optuna.cli.studies import in_options
from qspinn_optuna.study import Source, TrialRecord, check_identity, identity_of, source_of
from qspinn_optuna.workloads import Workload


def finished_trial(study: optuna.Study, number: int, *, or_pruned: bool = False) -> TrialRecord:
    """A finished trial of a study.

    Args:
        study: The study.
        number: Number of the trial.
        or_pruned: Whether it may be a pruned one.

    Raises:
        UsageError: If there is none of that number.
    """
    trials = study.get_trials(deepcopy=False)
    if number >= len(trials):
        raise UsageError(f"--trial must be under {len(trials)}, as many trials has {study.study_name}, got {number}")
    trial = trials[number]
    if trial.state is not TrialState.COMPLETE and not (or_pruned and trial.state is TrialState.PRUNED):
        raise UsageError(f"--trial must be a finished one, got {number}, which is {_state(trial.state)}")
    return TrialRecord(trial)


def source_to_load(study: optuna.Study, arguments: argparse.Namespace) -> Source:
    """The file of a study, or the one that the command line names instead, and the options of the run.

    Raises:
        UsageError: If there is neither.
    """
    file: Path | None = arguments.file
    source = source_of(study)
    if file is not None:
        return Source(str(file), () if source is None else source.options)
    if source is None:
        raise UsageError(f"FILE.py must be given: study {study.study_name} does not know which file it was run from")
    return source


@contextmanager
def workload_of(study: optuna.Study, source: Source) -> Iterator[Workload]:
    """The workload that a file makes for the options of a run; the file is loaded until the end.

    Raises:
        UsageError: If there is no such file, or it makes another workload or space than the study is of.
        CommandError: If something fails in the file, also in what is done with the workload.
    """
    with loaded(Path(source.file)) as file:
        parser = make_run_parser(file.path.name, file.description, writes=False)
        file.add_arguments(parser)
        options = parse_run(parser, source.options)
        workload = file.workload(options)
        try:
            check_identity(study, identity_of(space_of_run(file, workload, options), workload.describe()))
        except ValueError as error:
            raise UsageError(in_options(error, options)) from error
        yield workload


def _state(state: TrialState) -> str:
    return "failed" if state is TrialState.FAIL else state.name.lower()
