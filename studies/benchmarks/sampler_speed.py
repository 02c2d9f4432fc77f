"""How long a suggestion takes, how much memory, and whether one is made twice.

CPU seconds of the memory-aware sampler on one thread, after 200 to 10,000 trials of spaces of 8 and of 80 widths, two
schemes and three roundings, and the largest memory of the process, study and libraries included; and the repetitions
among 500 trials of the table's space of 2,058 configurations.
"""

from __future__ import annotations

import argparse
import functools
import resource
import statistics
import time

import numpy as np
from optuna.trial import FrozenTrial, create_trial

from qspinn_optuna import MemoryAwareSampler, QuantizationObjective, open_study
from qspinn_optuna.sampler.known_objective.grid import SearchGrid
from qspinn_optuna.sampler.known_objective.improvement import nondominated
from searching.formulas import Logistic
from searching.problems import table_path
from searching.processes import on_one_thread
from searching.search import search
from searching.synthetic import SyntheticProblem
from searching.tables import EvaluationTable

SUGGESTIONS = 10

LAYERS_AND_TRIALS = ((4, 200), (4, 1_000), (4, 3_000), (4, 10_000), (40, 200))
"""A layer has two widths."""

_AROUND = 2 / 3
"""Share of the trials of a filled study that lie around its front, as those of a search do."""


def main() -> None:
    """Print the seconds, the memory and the repetitions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    for layers, trials in LAYERS_AND_TRIALS:
        on_one_thread(functools.partial(measure_suggestions, layers, trials))
    table = EvaluationTable.load(table_path("mnist"))
    repeated = on_one_thread(functools.partial(repetitions, table, 500))
    print(f"repetitions in 500 trials of {table.space.cardinality:,} configurations: {repeated}")


def measure_suggestions(layers: int, trials: int) -> None:
    """Print seconds and memory, in a process of its own: memory is the largest that it has had."""
    seconds = suggestion_seconds(Logistic(0, layers), trials)
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{2 * layers} widths, after {trials:,} trials: median {statistics.median(seconds):.2f} s, longest "
        f"{max(seconds):.2f} s of CPU, {mib:.0f} MiB"
    )


def suggestion_seconds(problem: SyntheticProblem, trials: int) -> list[float]:
    """CPU seconds of the suggestions that follow so many trials; the first one fits from nothing."""
    space = problem.space
    objective = QuantizationObjective(problem, space)
    study = open_study("benchmark", None, space, MemoryAwareSampler(space, seed=0))
    study.add_trials(filling(problem, trials))
    seconds = []
    for _ in range(SUGGESTIONS):
        start = time.process_time()
        trial = study.ask(space.distributions)
        seconds.append(time.process_time() - start)
        study.tell(trial, objective(trial))
    return seconds


def filling(problem: SyntheticProblem, trials: int) -> list[FrozenTrial]:
    """Finished trials, drawn at random at first and then around the front; their accuracies have no noise."""
    space, rng = problem.space, np.random.default_rng(0)
    grid = SearchGrid(space.distributions)
    rows = grid.draw(trials, rng)
    values = np.empty((trials, 2))
    front = np.arange(0)
    for place in range(trials):
        if place % 100 == 0:
            front = nondominated(values[:place, 0], values[:place, 1])
        if len(front) and rng.random() < _AROUND:
            rows[place] = grid.mutate(rows[[rng.choice(front)]], rng)[0]
        config = space.config(grid.decode(rows[place]))
        values[place] = space.footprint(config).kib, problem.truth(config)
    return [
        create_trial(values=pair, params=grid.decode(row), distributions=space.distributions)
        for row, pair in zip(rows, values.tolist(), strict=True)
    ]


def repetitions(table: EvaluationTable, trials: int) -> int:
    """How many trials suggest what an earlier one did."""
    sampler = MemoryAwareSampler(table.space, seed=0)
    return trials - len({trial.config for trial in search(table, table.space, sampler, trials)})


if __name__ == "__main__":
    main()
