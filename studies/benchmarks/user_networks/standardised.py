"""Digits with a mean of 0 and a deviation of 1, as torchvision's ``Normalize`` gives them."""

from __future__ import annotations

import argparse

from digits import Schedule, add_arguments, digits, supervised
from pooled import PooledByThree
from torch import Tensor

from qspinn_optuna import SupervisedWorkload

__all__ = ["add_arguments", "workload"]

HELD_OUT = 1_500
"""The standard error of a difference of a point is half as large as the difference, with 1,000 held out."""

MEAN, DEVIATION = 0.1307, 0.3081
"""Of the pixels of MNIST, between 0 and 1."""


def standardised(pixels: Tensor) -> Tensor:
    """Pixels less their mean, by their standard deviation."""
    return (pixels / 255 - MEAN) / DEVIATION


def workload(arguments: argparse.Namespace) -> SupervisedWorkload:
    """What is searched."""
    return supervised(PooledByThree, arguments, Schedule(epochs=8), standardised, digits(arguments, HELD_OUT))
