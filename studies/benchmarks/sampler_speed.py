"""How long a suggestion takes, and whether one is made twice.

Seconds of the memory-aware sampler on one thread, after 200 and 1,000 trials of a space of eight widths, two schemes
and three roundings; and the repetitions among 500 trials of the table's space of 2,058 configurations.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # libraries read it when they are loaded

import statistics
import time
from pathlib import Path

import optuna
import torch
from evaluation_table import EvaluationTable
from mnist_table import TABLE
from synthetic_problems import SYNTHETIC_PROBLEMS

from qspinn_optuna import MemoryAwareSampler, QuantizationObjective, QuantizationSpace, Workload
from qspinn_optuna.study import DIRECTIONS

SUGGESTIONS = 10


def main() -> None:
    """Print the seconds and the repetitions."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    problem = SYNTHETIC_PROBLEMS["logistic"](0)
    for trials in (200, 1_000):
        seconds = suggestion_seconds(problem, problem.space, trials)
        print(f"after {trials:,} trials: median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")
    table = EvaluationTable.load(Path(TABLE))
    print(f"repetitions in 500 trials of {table.space.cardinality:,} configurations: {repetitions(table, 500)}")


def suggestion_seconds(workload: Workload, space: QuantizationSpace, trials: int) -> list[float]:
    """Of the suggestions that follow so many random trials; the first one fits from nothing."""
    objective = QuantizationObjective(workload, space)
    study = optuna.create_study(directions=DIRECTIONS, sampler=optuna.samplers.RandomSampler(seed=trials))
    study.optimize(objective, n_trials=trials)
    study.sampler = MemoryAwareSampler(space, seed=0)
    seconds = []
    for _ in range(SUGGESTIONS):
        start = time.perf_counter()
        trial = study.ask(space.distributions)
        seconds.append(time.perf_counter() - start)
        study.tell(trial, objective(trial))
    return seconds


def repetitions(table: EvaluationTable, trials: int) -> int:
    """How many trials suggest what an earlier one did."""
    study = optuna.create_study(directions=DIRECTIONS, sampler=MemoryAwareSampler(table.space, seed=0))
    study.optimize(QuantizationObjective(table, table.space), n_trials=trials)
    return trials - len({table.row(trial.params) for trial in study.trials})


if __name__ == "__main__":
    main()
