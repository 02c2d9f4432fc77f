"""How long a suggestion takes, and whether one is made twice.

Seconds of the memory-aware sampler on one thread, after 200 and 1,000 trials of a space of eight widths, two schemes
and three roundings; and the repetitions among 500 trials of the table's space of 2,058 configurations.
"""

from __future__ import annotations

import argparse
import statistics
import time

import optuna

from qspinn_optuna import MemoryAwareSampler, QuantizationObjective, QuantizationSpace, Workload, open_study
from searching.formulas import SYNTHETIC_PROBLEMS
from searching.problems import table_path
from searching.processes import on_one_thread
from searching.search import search
from searching.tables import EvaluationTable

SUGGESTIONS = 10


def main() -> None:
    """Measure in a process of one thread."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    on_one_thread(measure)


def measure() -> None:
    """Print the seconds and the repetitions."""
    problem = SYNTHETIC_PROBLEMS["logistic"](0)
    for trials in (200, 1_000):
        seconds = suggestion_seconds(problem, problem.space, trials)
        print(f"after {trials:,} trials: median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")
    table = EvaluationTable.load(table_path("mnist"))
    print(f"repetitions in 500 trials of {table.space.cardinality:,} configurations: {repetitions(table, 500)}")


def suggestion_seconds(workload: Workload, space: QuantizationSpace, trials: int) -> list[float]:
    """Of the suggestions that follow so many random trials; the first one fits from nothing."""
    objective = QuantizationObjective(workload, space)
    study = open_study("benchmark", None, space, optuna.samplers.RandomSampler(seed=trials))
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
    sampler = MemoryAwareSampler(table.space, seed=0)
    return trials - len({trial.config for trial in search(table, table.space, sampler, trials)})


if __name__ == "__main__":
    main()
