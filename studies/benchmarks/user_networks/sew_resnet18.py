"""SpikingJelly's SEW-ResNet18 at 96 x 96, an eighth as wide."""

from __future__ import annotations

import argparse

from digits import Schedule, add_arguments, grey, supervised
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from spikingjelly.activation_based.model.sew_resnet import BasicBlock, SEWResNet
from torch import Tensor, nn

from qspinn_optuna import SupervisedWorkload

__all__ = ["add_arguments", "workload"]

STEPS = 2
SIZE = 96
WIDTHS = (8, 16, 32, 64)
NEURON = {"detach_reset": True, "surrogate_function": surrogate.ATan()}


class NarrowSEWResNet18(SEWResNet):  # type: ignore[misc]
    """The class fixes the widths of its layers, so they are made again."""

    def __init__(self) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], cnf="ADD", spiking_neuron=neuron.LIFNode, **NEURON)
        self.inplanes = WIDTHS[0]
        self.conv1 = layer.Conv2d(3, WIDTHS[0], kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = layer.BatchNorm2d(WIDTHS[0])
        for number, width in enumerate(WIDTHS, start=1):
            stage = self._make_layer(
                BasicBlock, width, 2, stride=min(number, 2), cnf="ADD", spiking_neuron=neuron.LIFNode, **NEURON
            )
            setattr(self, f"layer{number}", stage)
        self.fc = layer.Linear(WIDTHS[-1], 10)
        functional.set_step_mode(self, "m")

    def forward(self, images: Tensor) -> Tensor:
        """Scores of every step, [steps, batch, classes], of grey images that are shown at each."""
        scores: Tensor = super().forward(images.expand(STEPS, -1, 3, -1, -1))
        return scores


def upscaled(pixels: Tensor) -> Tensor:
    """Grey pixels, whole before they are divided as those of an image file."""
    return grey(nn.functional.interpolate(pixels, size=(SIZE, SIZE), mode="bilinear").round())


def workload(arguments: argparse.Namespace) -> SupervisedWorkload:
    """What is searched."""
    return supervised(NarrowSEWResNet18, arguments, Schedule(epochs=4), upscaled)
