"""``qspinn evaluate --trial N``: a trial again, and whether its counts are the same."""

from __future__ import annotations

import argparse
from collections.abc import Generator

from qspinn_optuna.cli.errors import CommandError, UsageError
from qspinn_optuna.cli.remaking import finished_trial, source_to_load, workload_of
from qspinn_optuna.cli.studies import open_named_study
from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.study import Counts
from qspinn_optuna.workloads import TrainingProgress, Workload


def execute(arguments: argparse.Namespace) -> None:
    """Evaluate a trial of the study again.

    Raises:
        UsageError: If there is no such trial, or the file makes another workload or space than the study is of.
        CommandError: If the counts are others.
    """
    study = open_named_study(arguments)
    record = finished_trial(study, arguments.trial)
    config, before = record.config, record.counts
    if config is None or before is None:
        raise UsageError(f"--trial must be one that keeps its counts, got {record.number}, which keeps none")
    with workload_of(study, source_to_load(study, arguments)) as workload:
        print(f"Trial {record.number} of study {study.study_name}: evaluating it again ...", flush=True)
        now = _counts(workload, config, record.seed or 0)
    if now != before:
        raise CommandError(f"trial {record.number} has other counts now: {_in_words(now)}, before {_in_words(before)}")
    print(f"The counts are the same: {_in_words(now)}.")


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
