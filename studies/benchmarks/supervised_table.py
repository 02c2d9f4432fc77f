"""Make the table of a network that is trained on labeled events: every configuration of a grid, evaluated.

A fully connected network of a layer of neurons, trained on some of the recordings of an N-MNIST folder and measured on
others, post-training and fine-tuned in training for 2 epochs. There are two, so that what was tried on one can be
confirmed on the other. A table takes 15 minutes of one core; interrupted, the same command goes on. The tables are part
of the project: compare_samplers.py and compare_pruning.py read them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from qspinn_optuna.datasets import random_split
from qspinn_optuna.workloads.supervised import FrameBatches, SupervisedWorkload, fit
from qspinn_optuna.workloads.supervised.events import NMNIST, load_pooled
from searching.problems import table_path
from searching.tables import size_of
from searching.tabulation import make_table


@dataclass(frozen=True)
class Variant:
    """A network and its data.

    Args:
        hidden: Neurons.
        leaks: Whether they leak.
        training: Recordings to train with.
        validation: Recordings to measure with.
        seed: Of the split, of the initial weights and of the training.
    """

    hidden: int
    leaks: bool
    training: int
    validation: int
    seed: int

    @property
    def widths(self) -> dict[str, int | tuple[int, int]]:
        """Of every parameter."""
        searched: dict[str, int | tuple[int, int]] = dict.fromkeys(
            ("layers.1.weight", "layers.3.weight", "layers.2.v"), (1, 6)
        )
        coefficients = ("layers.2.threshold", "layers.2.decay") if self.leaks else ("layers.2.threshold",)
        return searched | dict.fromkeys(coefficients, 8)


VARIANTS = {
    "supervised": Variant(hidden=64, leaks=True, training=600, validation=500, seed=0),
    "supervised-if": Variant(hidden=40, leaks=False, training=500, validation=600, seed=7),
}
"""By the names of their tables."""

BLOCK = 2
"""Sensor pixels of a side of a frame's pixel."""


class Network(nn.Module):
    """578 pixels of events, a layer of neurons, 10 classes."""

    def __init__(self, hidden: int, *, leaks: bool) -> None:
        super().__init__()
        pixels = 2 * (34 // BLOCK) ** 2
        neurons = partial(neuron.LIFNode, tau=2.0, decay_input=False) if leaks else neuron.IFNode
        self.layers = nn.Sequential(
            layer.Flatten(),
            layer.Linear(pixels, hidden, bias=False),
            neurons(detach_reset=True, surrogate_function=surrogate.ATan()),
            layer.Linear(hidden, 10, bias=False),
        )
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        """Scores of [batch, steps, channels, height, width], [steps, batch, classes]."""
        scores: Tensor = 4 * self.layers(frames.transpose(0, 1))
        return scores


def main() -> None:
    """Make the table and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of N-MNIST, or of a part of it")
    parser.add_argument("--processes", type=int, default=2, help="evaluations at once")
    parser.add_argument("--table", choices=VARIANTS, default="supervised")
    parser.add_argument("--output", type=Path, help="file of the table; that of the project if not given")
    arguments = parser.parse_args()
    variant, output = VARIANTS[arguments.table], arguments.output or table_path(arguments.table)
    table = make_table(partial(make_workload, variant, arguments.data_dir), variant.widths, output, arguments.processes)
    print(f"{size_of(table.space)} configurations, float {table.baseline:.2%}, best {table.accuracy.max():.2%}")


def make_workload(variant: Variant, data_dir: Path) -> SupervisedWorkload:
    """The network and its data, small so that a thousand fine-tunings fit into minutes."""
    torch.set_num_threads(1)
    frames = load_pooled(replace(NMNIST, block=BLOCK), data_dir)
    training, validation = random_split(frames, (variant.training, variant.validation), seed=variant.seed)
    train = partial(fit, batches=FrameBatches(training, 20, shuffle=True), progress=False)
    return SupervisedWorkload(
        partial(Network, variant.hidden, leaks=variant.leaks),
        train=partial(train, epochs=20, learning_rate=3e-3),
        fine_tune=partial(train, epochs=2, learning_rate=6e-4),
        calibration=FrameBatches(training[:100], 50),
        validation=FrameBatches(validation, 50),
        seed=variant.seed,
    )


if __name__ == "__main__":
    main()
