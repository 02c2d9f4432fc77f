"""How long the figures of a large study take.

Seconds to make each figure of a study with 5,000 trials of eight widths on one thread, and the size of what a browser
gets. The trials are of random search; a fifth of the study is made with a pruner.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import optuna
import plotly.graph_objects as go

from qspinn_optuna import FrontPruner, ParetoFront, QuantizationObjective, TradeOffSelector, open_study
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.visualization import (
    plot_bit_allocation,
    plot_footprint,
    plot_front,
    plot_hypervolume,
    plot_schemes_and_roundings,
    plot_winner_by_mu,
)
from searching.formulas import SYNTHETIC_PROBLEMS
from searching.processes import on_one_thread

LIMIT = 2.0
"""Seconds that a figure may take."""

_PART = 500
"""Trials of a part of the study: the objective compares each trial with all before, to find duplicates."""


def main() -> None:
    """Measure in a process of one thread."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--trials", type=positive, default=5_000, help="of the study")
    on_one_thread(partial(measure, parser.parse_args().trials))


def measure(trials: int) -> None:
    """Print a line for each figure."""
    study = large_study(trials)
    front = ParetoFront.from_study(study)
    print(f"{len(study.get_trials(deepcopy=False)):,} trials, {len(front)} on the front\n")
    print(f"{'figure':28}  seconds  MB")
    slowest = 0.0
    for name, make in figures(study, front).items():
        start = time.perf_counter()
        figure = make()
        seconds = time.perf_counter() - start
        slowest = max(slowest, seconds)
        print(f"{name:28}  {seconds:7.3f}  {len(figure.to_json()) / 1e6:.1f}")
    print(f"\nslowest: {slowest:.3f} s, {'under' if slowest < LIMIT else 'NOT under'} {LIMIT:g} s")


def figures(study: optuna.Study, front: ParetoFront) -> dict[str, Callable[[], go.Figure]]:
    """Every figure that is made of a study or of its front."""
    choice = TradeOffSelector(0.1).select(front)
    return {
        "front": lambda: plot_front(study, front, choice, mu=0.1),
        "bit allocation": lambda: plot_bit_allocation(front, choice),
        "footprint by parameter": lambda: plot_footprint(study, front, choice),
        "footprint by family": lambda: plot_footprint(study, front, choice, by="family"),
        "winner by mu": lambda: plot_winner_by_mu(front),
        "hypervolume against trials": lambda: plot_hypervolume(study),
        "hypervolume against seconds": lambda: plot_hypervolume(study, "seconds"),
        "schemes and roundings": lambda: plot_schemes_and_roundings(study),
    }


def large_study(trials: int) -> optuna.Study:
    """Random trials in memory, made in parts, of which every fifth has a pruner."""
    problem = SYNTHETIC_PROBLEMS["logistic"](0)
    study = open_study("large", None, problem.space, optuna.samplers.RandomSampler(seed=0))
    for number, first in enumerate(range(0, trials, _PART)):
        pruner = FrontPruner(0.95) if number % 5 == 4 else None
        part = open_study("part", None, problem.space, optuna.samplers.RandomSampler(seed=number))
        part.optimize(QuantizationObjective(problem, problem.space, pruner=pruner), min(_PART, trials - first))
        study.add_trials(part.get_trials(deepcopy=False))
    return study


if __name__ == "__main__":
    main()
