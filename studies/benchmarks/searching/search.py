"""A study, trial by trial: what each trial suggested, found and cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from qspinn_optuna import (
    FrontPruner,
    InexactError,
    QuantizationConfig,
    QuantizationObjective,
    QuantizationSpace,
    Workload,
    open_study,
)
from qspinn_optuna.study import set_accuracy_floor
from searching.counting import CountingWorkload

EVALUATION_SEED = 0
"""Seed of every evaluation: the same configuration gives the same counts in every study."""


class Ending(Enum):
    """How a trial ended."""

    FINISHED = auto()
    STOPPED = auto()
    """By the pruner."""
    REFUSED = auto()
    """By the workload, which cannot carry the configuration exactly."""


@dataclass(frozen=True)
class SearchedTrial:
    """One trial of a study.

    Args:
        config: What the sampler suggested.
        memory_kib: Of the configuration.
        accuracy: As measured, a fraction; None if the trial did not finish.
        ending: How it ended.
        trained: Fraction of in-training quantization after which the pruner stopped it; None if it was not stopped in
            training.
        samples: Samples evaluated: none for a configuration that the study has evaluated before.
        seconds: Of the sampler.
    """

    config: QuantizationConfig
    memory_kib: float
    accuracy: float | None
    ending: Ending
    trained: float | None
    samples: int
    seconds: float


def search(
    workload: Workload,
    space: QuantizationSpace,
    sampler: BaseSampler,
    trials: int,
    pruner: FrontPruner | None = None,
    floor: float | None = None,
) -> Iterator[SearchedTrial]:
    """Run a study in memory.

    Args:
        workload: What is measured.
        space: What is searched.
        sampler: What suggests configurations.
        trials: How many.
        pruner: What stops evaluations, if anything does.
        floor: Accuracy floor of the study, if it has one.

    Yields:
        Each trial, when it has ended.
    """
    counting = CountingWorkload(workload)
    objective = QuantizationObjective(counting, space, seed=EVALUATION_SEED, pruner=pruner)
    study = open_study("benchmark", None, space, sampler)
    set_accuracy_floor(study, floor)
    for _ in range(trials):
        yield _next_trial(study, objective, counting)


def _next_trial(study: optuna.Study, objective: QuantizationObjective, counting: CountingWorkload) -> SearchedTrial:
    space, before = objective.space, counting.samples
    counting.progress = None
    start = time.perf_counter()
    # All dimensions at once: the sampler works here and when it is told the values, and nowhere else.
    trial = study.ask(space.distributions)
    seconds = time.perf_counter() - start
    values, ending = _evaluate(trial, objective)
    start = time.perf_counter()
    study.tell(trial, values, TrialState.COMPLETE if ending is Ending.FINISHED else TrialState.PRUNED)
    seconds += time.perf_counter() - start
    config = space.config(trial.params)
    progress = counting.progress if ending is Ending.STOPPED else None
    return SearchedTrial(
        config=config,
        memory_kib=space.footprint(config).kib,
        accuracy=None if values is None else values[1],
        ending=ending,
        trained=None if progress is None else progress.fraction,
        samples=counting.samples - before,
        seconds=seconds,
    )


def _evaluate(trial: optuna.Trial, objective: QuantizationObjective) -> tuple[tuple[float, float] | None, Ending]:
    try:
        return objective(trial), Ending.FINISHED
    except optuna.TrialPruned as stop:
        return None, Ending.REFUSED if isinstance(stop.__cause__, InexactError) else Ending.STOPPED
