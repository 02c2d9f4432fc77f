"""Networks trained on labeled data: the workload, built-in networks, and their training."""

from __future__ import annotations

from qspinn_optuna.workloads.supervised.conv import ConvBlock, ConvSNN
from qspinn_optuna.workloads.supervised.loader import FrameBatches
from qspinn_optuna.workloads.supervised.local import LocalLearningSNN, local_loss
from qspinn_optuna.workloads.supervised.recipe import Distillation, QuantizedTraining, set_teacher
from qspinn_optuna.workloads.supervised.training import class_scores, fit, fit_by_epochs
from qspinn_optuna.workloads.supervised.workload import SupervisedWorkload, top1

__all__ = [
    "ConvBlock",
    "ConvSNN",
    "Distillation",
    "FrameBatches",
    "LocalLearningSNN",
    "QuantizedTraining",
    "SupervisedWorkload",
    "class_scores",
    "fit",
    "fit_by_epochs",
    "local_loss",
    "set_teacher",
    "top1",
]
