"""Pixels / 255, as torchvision's ``ToTensor`` gives them: they are no fixed-point numbers."""

from __future__ import annotations

import argparse

from digits import Schedule, add_arguments, supervised
from pooled import PooledByThree
from torch import Tensor

from qspinn_optuna import SupervisedWorkload

__all__ = ["add_arguments", "workload"]


def from_0_to_1(pixels: Tensor) -> Tensor:
    """Pixels / 255."""
    return pixels / 255


def workload(arguments: argparse.Namespace) -> SupervisedWorkload:
    """What is searched."""
    return supervised(PooledByThree, arguments, Schedule(epochs=8), from_0_to_1)
