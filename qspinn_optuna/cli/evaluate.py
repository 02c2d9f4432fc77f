"""``qspinn evaluate --trial N``: a trial again, and whether its counts are the same."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from pathlib import Path

import optuna
from optuna.trial import TrialState

from qspinn_optuna.cli.errors import CommandError, UsageError
from qspinn_optuna.cli.loading import loaded
from qspinn_optuna.cli.parser import make_run_parser, parse_run
from qspinn_optuna.cli.spaces import space_of_run
from qspinn_optuna.cli.studies import open_named_study
from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.study import Counts, Source, TrialRecord, check_identity, identity_of, source_of
from qspinn_optuna.workloads import TrainingProgress, Workload


def execute(arguments: argparse.Namespace) -> None:
    """Evaluate a trial of the study again.

    Raises:
        UsageError: If there is no such trial, or the file makes another workload or space than the study is of.
        CommandError: If the counts are others.
    """
    study = open_named_study(arguments)
    record = _finished(study, arguments.trial)
    config, before = record.config, record.counts
    if config is None or before is None:
        raise UsageError(f"--trial must be one that keeps its counts, got {record.number}, which keeps none")
    source = _source(study, arguments.file)
    with loaded(Path(source.file)) as file:
        parser = make_run_parser(file.path.name, file.description)
        file.add_arguments(parser)
        options = parse_run(parser, source.options)
        workload = file.workload(options)
        try:
            check_identity(study, identity_of(space_of_run(file, workload, options), workload.describe()))
        except ValueError as error:
            raise UsageError(str(error)) from error
        print(f"Trial {record.number} of study {study.study_name}: evaluating it again ...", flush=True)
        now = _counts(workload, config, record.seed or 0)
    if now != before:
        raise CommandError(f"trial {record.number} has other counts now: {_in_words(now)}, before {_in_words(before)}")
    print(f"The counts are the same: {_in_words(now)}.")


def _finished(study: optuna.Study, number: int) -> TrialRecord:
    trials = study.get_trials(deepcopy=False)
    if number >= len(trials):
        raise UsageError(f"--trial must be under {len(trials)}, as many trials has {study.study_name}, got {number}")
    trial = trials[number]
    if trial.state is not TrialState.COMPLETE:
        raise UsageError(f"--trial must be a finished one, got {number}, which is {trial.state.name.lower()}")
    return TrialRecord(trial)


def _source(study: optuna.Study, file: Path | None) -> Source:
    """The file to evaluate with, and the options of the run."""
    source = source_of(study)
    if file is not None:
        return Source(str(file), () if source is None else source.options)
    if source is None:
        raise UsageError(f"FILE.py must be given: study {study.study_name} does not know which file it was run from")
    return source


def _counts(workload: Workload, config: QuantizationConfig, seed: int) -> Counts:
    """Counts of a whole evaluation."""
    counts: Counts | None = None
    steps = workload.evaluate(config, seed)
    try:
        for step in steps:
            if not isinstance(step, TrainingProgress):
                counts = Counts(*step)
    finally:
        # A generator ends its threads and contexts then, not at some later time.
        if isinstance(steps, Generator):
            steps.close()
    if counts is None:
        raise CommandError("the workload has counted nothing")
    return counts


def _in_words(counts: Counts) -> str:
    return f"{counts.correct:,} of {counts.seen:,} ({counts.accuracy:.2%})"
