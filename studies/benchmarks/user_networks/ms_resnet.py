"""SpikingJelly's MS-ResNet, scaled down: its shortcuts carry membrane potentials from block to block."""

from __future__ import annotations

import argparse

from digits import Schedule, add_arguments, supervised
from spikingjelly.activation_based.model.ms_resnet import MSResNet
from torch import nn

from qspinn_optuna import SupervisedWorkload

__all__ = ["add_arguments", "workload"]

STEPS = 2


def network() -> nn.Module:
    """Three stages of two blocks."""
    made: nn.Module = MSResNet(STEPS, 1, 10, layers=(2, 2, 2), base_channels=8, stem_kernel_size=3, stem_stride=1)
    return made


def workload(arguments: argparse.Namespace) -> SupervisedWorkload:
    """What is searched."""
    return supervised(network, arguments, Schedule(epochs=8))
