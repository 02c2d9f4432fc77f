"""SpikingJelly's Spikformer, scaled down."""

from __future__ import annotations

import argparse

from digits import Schedule, add_arguments, grey, supervised
from spikingjelly.activation_based.model.spikformer import Spikformer
from torch import Tensor, nn

from qspinn_optuna import SupervisedWorkload

__all__ = ["add_arguments", "workload"]

STEPS = 2
SIZE = 32


def network() -> nn.Module:
    """One block of two heads, on 8 x 8 patches."""
    made: nn.Module = Spikformer(
        STEPS, 1, SIZE, SIZE, patch_size=4, num_classes=10, embed_dims=32, num_heads=2, mlp_ratio=2.0, depths=1
    )
    return made


def padded(pixels: Tensor) -> Tensor:
    """Grey pixels, two more on each side, so that patches fit."""
    return grey(nn.functional.pad(pixels, (2, 2, 2, 2)))


def workload(arguments: argparse.Namespace) -> SupervisedWorkload:
    """What is searched."""
    return supervised(network, arguments, Schedule(epochs=5), padded)
