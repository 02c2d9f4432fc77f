"""Spaces, and two objectives that every one of them can have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from qspinn_optuna.sampler import KnownObjectiveSampler
from qspinn_optuna.sampler.known_objective.constraints import Threshold
from qspinn_optuna.sampler.known_objective.improvement import hypervolume
from qspinn_optuna.sampler.known_objective.initial_design import FRACTIONS
from qspinn_optuna.sampler.known_objective.objectives import Objectives
from qspinn_optuna.sampler.known_objective.observations import Observations

INITIAL = len(FRACTIONS)
"""Trials with which a study begins."""

Space = dict[str, BaseDistribution]

TWELVE: Space = {"width": IntDistribution(0, 3), "kind": CategoricalDistribution(["a", "b", "c"])}

SMALL: Space = {
    "x": IntDistribution(2, 8),
    "y": IntDistribution(2, 8),
    "z": IntDistribution(2, 8),
    "kind": CategoricalDistribution(["a", "b", "c"]),
    "way": CategoricalDistribution(["a", "b"]),
}
"""2,058 points."""

MIXED: Space = {
    "integer": IntDistribution(1, 100),
    "stepped": IntDistribution(1, 9, step=2),
    "logarithmic": IntDistribution(1, 128, log=True),
    "float": FloatDistribution(0, 4),
    "float_stepped": FloatDistribution(0, 1, step=0.1),
    "float_logarithmic": FloatDistribution(1e-3, 1, log=True),
    "kind": CategoricalDistribution(["a", "b", "c"]),
}


def cost(params: Mapping[str, Any]) -> float:
    return sum((float(value) for value in params.values() if not isinstance(value, str)), 0.0)


def gain(params: Mapping[str, Any]) -> float:
    """Saturates in every number; the choice "a" loses a little."""
    numbers = [float(value) for value in params.values() if not isinstance(value, str)]
    return math.prod(1 - math.exp2(-1 - number) for number in numbers) * (0.9 if "a" in params.values() else 1.0)


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, dimension in space.items():
        if isinstance(dimension, IntDistribution):
            params[name] = trial.suggest_int(
                name, dimension.low, dimension.high, step=dimension.step, log=dimension.log
            )
        elif isinstance(dimension, FloatDistribution):
            params[name] = trial.suggest_float(
                name, dimension.low, dimension.high, step=dimension.step, log=dimension.log
            )
        elif isinstance(dimension, CategoricalDistribution):
            params[name] = trial.suggest_categorical(name, dimension.choices)
    return params


class Objective:
    """Cost to minimize and gain to maximize."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def __call__(self, trial: optuna.Trial) -> tuple[float, float]:
        params = suggest(trial, self.space)
        return cost(params), gain(params)


def make_study(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    return optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)


def run(space: Space, trials: int, seed: int, **options: Any) -> optuna.Study:
    study = make_study(KnownObjectiveSampler(space, cost, seed=seed, **options))
    study.optimize(Objective(space), n_trials=trials)
    return study


def read(study: optuna.Study, sampler: KnownObjectiveSampler, threshold: Threshold | None = None) -> Observations:
    """What the sampler of a study that minimizes a cost and maximizes a gain reads for the next trial."""
    current = study._storage.get_trial(study.ask()._trial_id)
    return sampler._history.read(study, current, Objectives(0, 1.0, 1.0), threshold=threshold)


def points(trials: list[FrozenTrial]) -> list[tuple[Any, ...]]:
    """The configurations, each as its sorted items."""
    return [tuple(sorted(trial.params.items())) for trial in trials]


def all_different(trials: list[FrozenTrial]) -> bool:
    return len(set(points(trials))) == len(trials)


def volume(trials: list[FrozenTrial], worst_cost: float) -> float:
    values = np.array([trial.values for trial in trials if trial.values is not None])
    return hypervolume(values[:, 0], values[:, 1], (worst_cost, 0.0))
