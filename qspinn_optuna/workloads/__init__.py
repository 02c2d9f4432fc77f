"""Networks that are trained and measured, and the protocols that the search asks of them."""

from __future__ import annotations

from qspinn_optuna.workloads.progress import TrainingProgress
from qspinn_optuna.workloads.protocol import DeployableWorkload, TestedWorkload, Workload, missing_members
from qspinn_optuna.workloads.samples import IntegerSamples, Split

__all__ = [
    "DeployableWorkload",
    "IntegerSamples",
    "Split",
    "TestedWorkload",
    "TrainingProgress",
    "Workload",
    "missing_members",
]
