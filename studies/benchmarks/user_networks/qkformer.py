"""SpikingJelly's QKFormer, scaled down."""

from __future__ import annotations

import argparse

from digits import Schedule, add_arguments, grey, supervised
from spikingjelly.activation_based.model.qkformer import QKFormer
from torch import Tensor, nn

from qspinn_optuna import SupervisedWorkload

__all__ = ["add_arguments", "workload"]

STEPS = 2


def network() -> nn.Module:
    """A block in each of three stages, of 8 x 8, 4 x 4 and 2 x 2 tokens."""
    made: nn.Module = QKFormer(STEPS, 1, 10, embed_dims=64, num_heads=(1, 2, 4), depths=(1, 1, 1), mlp_ratio=2.0)
    return made


def padded(pixels: Tensor) -> Tensor:
    """Grey pixels, two more on each side, so that every stage halves the size."""
    return grey(nn.functional.pad(pixels, (2, 2, 2, 2)))


def workload(arguments: argparse.Namespace) -> SupervisedWorkload:
    """What is searched."""
    return supervised(network, arguments, Schedule(epochs=6), padded)
