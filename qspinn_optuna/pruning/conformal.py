"""What other trials gained in the rest of their training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from qspinn_optuna.workloads import TrainingProgress

PROGRESS = "training_progress"
"""User attribute of a trial: its looks in training, as dicts."""


def largest_gain(earlier: Iterable[FrozenTrial], looks: Sequence[TrainingProgress], confidence: float) -> float:
    """The gain of accuracy, from any look to the end, that a trial does not exceed.

    Split conformal prediction (Lei et al. 2018, https://arxiv.org/abs/1604.04173): of n finished trials and a new one,
    all exchangeable, the new one's gain is among the k smallest with probability k / (n + 1) at least. A trial's gain
    is the largest from any of its looks to its end, so that one bound holds at every look.

    Args:
        earlier: Finished trials of the same kind.
        looks: Those of the new trial so far; only trials that looked after the same fractions are compared.
        confidence: Probability that the bound holds.

    Returns:
        The bound, a fraction; infinite if there are too few finished trials.
    """
    fractions = [look.fraction for look in looks]
    gains = []
    for trial in earlier:
        known = recorded(trial.user_attrs)
        if [look.fraction for look in known[: len(looks)]] == fractions and math.isfinite(trial.values[1]):
            gains.append(max(trial.values[1] - look.accuracy for look in known))
    # The tolerance: 40 * 0.975 must not become 40 by an error in the last place.
    rank = math.ceil((len(gains) + 1) * confidence - 1e-9)
    return sorted(gains)[rank - 1] if rank <= len(gains) else math.inf


def recorded(attributes: dict[str, Any]) -> list[TrainingProgress]:
    """The looks that a trial has kept."""
    return [TrainingProgress(**look) for look in attributes.get(PROGRESS, [])]


def record(trial: optuna.Trial, progress: TrainingProgress) -> list[TrainingProgress]:
    """Add a look to those that a trial has kept; returns them all."""
    looks = [*recorded(trial.user_attrs), progress]
    trial.set_user_attr(PROGRESS, [asdict(look) for look in looks])
    return looks
