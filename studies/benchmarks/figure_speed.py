"""How long the figures of a large study take.

Seconds to make each figure of a study with 5,000 trials of eight widths on one thread, and the size of what a browser
gets.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # libraries read it when they are loaded

import datetime
import time
from collections.abc import Callable

import numpy as np
import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial, TrialState, create_trial
from synthetic_problems import SYNTHETIC_PROBLEMS

from qspinn_optuna import ParetoFront, QuantizationSpace, TradeOffSelector, open_study
from qspinn_optuna.study import Counts, FootprintRecord, attributes_of
from qspinn_optuna.visualization import (
    plot_bit_allocation,
    plot_footprint,
    plot_front,
    plot_hypervolume,
    plot_schemes_and_roundings,
    plot_winner_by_mu,
)

TRIALS = 5_000
SAMPLES = 1_000
LIMIT = 2.0
"""Seconds that a figure may take."""


def main() -> None:
    """Print a line for each figure."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = large_study(SYNTHETIC_PROBLEMS["logistic"](0).space)
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


def large_study(space: QuantizationSpace) -> optuna.Study:
    """Random trials in memory, one in five stopped early; the accuracy grows with every width."""
    generator = np.random.default_rng(0)
    study = open_study("large", None, space, sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trials([random_trial(space, generator, number) for number in range(TRIALS)])
    return study


def random_trial(space: QuantizationSpace, generator: np.random.Generator, number: int) -> FrozenTrial:
    """A trial as an objective would leave it."""
    params = {}
    for name, distribution in space.distributions.items():
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            params[name] = distribution.choices[generator.integers(len(distribution.choices))]
        elif isinstance(distribution, optuna.distributions.IntDistribution):
            params[name] = int(generator.integers(distribution.low, distribution.high + 1))
    config = space.config(params)
    footprint = space.footprint(config)
    lost = sum(2.0**-width for width in config.bits.values())
    correct = int(generator.binomial(SAMPLES, max(0.1, 0.95 - 0.3 * lost)))
    stopped = number % 5 == 4
    trial = create_trial(
        state=TrialState.PRUNED if stopped else TrialState.COMPLETE,
        values=None if stopped else [footprint.kib, correct / SAMPLES],
        params=params,
        distributions=space.distributions,
        user_attrs=attributes_of(config, FootprintRecord.of(footprint), counts=Counts(correct, SAMPLES)),
    )
    trial.datetime_start = datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=number)
    trial.datetime_complete = trial.datetime_start + datetime.timedelta(seconds=1)
    return trial


if __name__ == "__main__":
    main()
