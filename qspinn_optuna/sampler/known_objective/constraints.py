"""What the constraints of a study ask for: bounds of its objectives, and conditions that have to be modelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from .objectives import Objectives

Floats = NDArray[np.float64]

_EXACT = 1e-9
"""Relative difference up to which a constraint is an objective moved by a constant."""


@dataclass(frozen=True)
class Threshold:
    """A value that the modelled objective must reach.

    Attributes:
        value: The least value if the objective is maximized, the largest one if it is minimized.
        constraints: Names of the constraints by which trials state a threshold. They may be of an earlier threshold,
            so they are ignored.
    """

    value: float
    constraints: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Bounds:
    """Bounds of the objectives.

    Attributes:
        required_gain: The least feasible gain; minus infinity without a bound.
        largest_cost: The largest feasible cost; infinity without a bound.
        others: Names of the constraints that bound neither objective, sorted.
    """

    required_gain: float
    largest_cost: float
    others: tuple[str, ...]


def find_bounds(trials: Sequence[FrozenTrial], objectives: Objectives, threshold: Threshold | None) -> Bounds:
    """Read the bounds from the constraints of complete trials, and from a threshold.

    A constraint is a bound of an objective if it differs from the objective by the same constant in all trials.

    Args:
        trials: Trials of which the complete ones are read.
        objectives: The objectives of the study.
        threshold: What the modelled objective must reach, if that is known besides.
    """
    required_gain = -np.inf if threshold is None else objectives.gain_sign * threshold.value
    largest_cost, others = np.inf, []
    trials = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    for name in sorted({name for trial in trials for name in trial.constraints} - _stated_by(threshold)):
        having = [trial for trial in trials if name in trial.constraints]
        values = finite([trial.constraints[name] for trial in having])
        costs = objectives.cost_sign * np.array([trial.values[objectives.known] for trial in having])
        gains = objectives.gain_sign * np.array([trial.values[objectives.modelled] for trial in having])
        if _is_constant(values + gains, gains):
            required_gain = max(required_gain, float((values + gains).mean()))
        elif _is_constant(values - costs, costs):
            largest_cost = min(largest_cost, float((costs - values).mean()))
        else:
            others.append(name)
    return Bounds(required_gain, largest_cost, tuple(others))


def is_feasible(trial: FrozenTrial, objectives: Objectives, threshold: Threshold | None) -> bool:
    """Whether a complete trial keeps its constraints and reaches the threshold."""
    ignored = _stated_by(threshold)
    sign, value = objectives.gain_sign, trial.values[objectives.modelled]
    reached = threshold is None or sign * value >= sign * threshold.value
    return reached and all(margin <= 0 for name, margin in trial.constraints.items() if name not in ignored)


def finite(values: list[float]) -> Floats:
    """Values of a constraint, of which infinite ones become as large as the largest finite one."""
    array = np.array(values)
    largest = np.abs(array[np.isfinite(array)]).max(initial=0.0) or 1.0
    return array.clip(-largest, largest)


def _stated_by(threshold: Threshold | None) -> frozenset[str]:
    return frozenset() if threshold is None else threshold.constraints


def _is_constant(differences: Floats, objective: Floats) -> bool:
    """Whether a constraint differs from an objective by a constant, and the objective varies enough to tell."""
    spread = float(np.ptp(objective))
    return spread > 0 and float(np.ptp(differences)) <= _EXACT * max(spread, float(np.abs(objective).max()))
