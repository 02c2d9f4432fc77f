"""Event recordings as a workload: recipes of frames and networks, their data, search space and controls."""

from __future__ import annotations

from qspinn_optuna.workloads.supervised.events.controls import state_controls
from qspinn_optuna.workloads.supervised.events.data import circles_of, generate_gestures, load_pooled, load_splits
from qspinn_optuna.workloads.supervised.events.recipes import (
    DVS_GESTURE,
    GENERATED,
    GESTURES,
    NARROW_GESTURES,
    NARROW_NMNIST,
    NMNIST,
    RECIPES,
    EventRecipe,
)
from qspinn_optuna.workloads.supervised.events.search import first_trials, search_space, uniform_params
from qspinn_optuna.workloads.supervised.events.workload import EVALUATION_BATCH, RUNGS, event_workload

__all__ = [
    "DVS_GESTURE",
    "EVALUATION_BATCH",
    "GENERATED",
    "GESTURES",
    "NARROW_GESTURES",
    "NARROW_NMNIST",
    "NMNIST",
    "RECIPES",
    "RUNGS",
    "EventRecipe",
    "circles_of",
    "event_workload",
    "first_trials",
    "generate_gestures",
    "load_pooled",
    "load_splits",
    "search_space",
    "state_controls",
    "uniform_params",
]
