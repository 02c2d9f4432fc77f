"""``qspinn evaluate --trial N``: a trial again, and whether its counts are the same."""

from __future__ import annotations

import argparse
from collections.abc import Generator

from qspinn_optuna.cli.errors import CommandError, UsageError
from qspinn_optuna.cli.remaking import finished_trial, source_to_load, workload_of
from qspinn_optuna.cli.studies import open_named_study
from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.display import Display
from qspinn_optuna.study import Counts, TrialRecord
from qspinn_optuna.workloads import TrainingProgress, Workload


def execute(arguments: argparse.Namespace) -> None:
    """Evaluate a trial of the study again; one that was pruned in its evaluation, up to there.

    Raises:
        UsageError: If there is no such trial, or the file makes another workload or space than the study is of.
        CommandError: If the counts are others.
    """
    study = open_named_study(arguments)
    record = finished_trial(study, arguments.trial, or_pruned=True)
    config, before = record.config, record.counts
    if config is None or before is None:
        raise UsageError(f"--trial must be one that keeps its counts, got {record.number}, {_why_not(record)}")
    with workload_of(study, source_to_load(study, arguments)) as workload:
        print(f"Trial {record.number} of study {study.study_name}: evaluating it again ...", flush=True)
        samples = None if record.pruned_at is None else before.seen
        with Display("evaluation"):
            now = _counts(workload, config, record.seed or 0, samples)
    if now != before:
        raise CommandError(f"trial {record.number} has other counts now: {_in_words(now)}, before {_in_words(before)}")
    print(f"The counts are the same: {_in_words(now)}.")


def _why_not(record: TrialRecord) -> str:
    if record.refused is not None:
        return f"which was refused: {record.refused}"
    if record.pruned_at is not None:
        return f"which was pruned in its {record.pruned_at.value}"
    return "which keeps none"


def _counts(workload: Workload, config: QuantizationConfig, seed: int, samples: int | None = None) -> Counts:
    """Counts of an evaluation, of all samples or the first ones."""
    counts: Counts | None = None
    steps = workload.evaluate(config, seed)
    try:
        for step in steps:
            if isinstance(step, TrainingProgress):
                continue
            counts = Counts(*step)
            if samples is not None and counts.seen >= samples:
                break
    finally:
        # A generator ends its threads and contexts then, not at some later time.
        if isinstance(steps, Generator):
            steps.close()
    if counts is None:
        raise CommandError("the workload has counted nothing")
    return counts


def _in_words(counts: Counts) -> str:
    return f"{counts.correct:,} of {counts.seen:,} ({counts.accuracy:.2%})"
