"""A convolutional network with temporal effective batch normalization, which has a factor for each time step."""

from __future__ import annotations

import argparse

from digits import Schedule, add_arguments, supervised
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from qspinn_optuna import SupervisedWorkload

__all__ = ["add_arguments", "workload"]

STEPS = 4
CHANNELS = (16, 32)


class TemporallyNormalized(nn.Module):
    """Two convolutions, each with its normalization, neurons and a pool."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for before, after in zip((1, *CHANNELS), CHANNELS, strict=False):
            blocks += [
                layer.Conv2d(before, after, 3, padding=1, bias=False),
                layer.TemporalEffectiveBatchNorm2d(STEPS, after),
                neuron.LIFNode(decay_input=False, detach_reset=True, surrogate_function=surrogate.ATan()),
                layer.MaxPool2d(2),
            ]
        self.layers = nn.Sequential(*blocks, layer.Flatten(), layer.Linear(CHANNELS[-1] * 7**2, 10))
        functional.set_step_mode(self, "m")

    def forward(self, images: Tensor) -> Tensor:
        """Scores of every step, [steps, batch, classes], of images that are shown at each."""
        scores: Tensor = self.layers(images.expand(STEPS, -1, -1, -1, -1))
        return scores


def workload(arguments: argparse.Namespace) -> SupervisedWorkload:
    """What is searched."""
    return supervised(TemporallyNormalized, arguments, Schedule(epochs=4))
