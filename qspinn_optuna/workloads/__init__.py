"""Networks that are trained and measured, and the protocols that the search asks of them."""

from __future__ import annotations

from qspinn_optuna.workloads.answers import Answers, Fresh, last_counts, right_of
from qspinn_optuna.workloads.progress import TrainingProgress
from qspinn_optuna.workloads.protocol import (
    ConfirmableWorkload,
    DeployableWorkload,
    PairedWorkload,
    ScoredWorkload,
    TestedWorkload,
    Workload,
    missing_members,
)
from qspinn_optuna.workloads.samples import IntegerSamples, Split

__all__ = [
    "Answers",
    "ConfirmableWorkload",
    "DeployableWorkload",
    "Fresh",
    "IntegerSamples",
    "PairedWorkload",
    "ScoredWorkload",
    "Split",
    "TestedWorkload",
    "TrainingProgress",
    "Workload",
    "last_counts",
    "missing_members",
    "right_of",
]
