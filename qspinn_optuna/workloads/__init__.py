"""What is trained and measured."""

from __future__ import annotations

from qspinn_optuna.workloads.progress import TrainingProgress
from qspinn_optuna.workloads.protocol import Workload

__all__ = ["TrainingProgress", "Workload"]
