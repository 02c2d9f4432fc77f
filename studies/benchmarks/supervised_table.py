"""Make the table of a network that is trained on labeled events: every configuration of a grid, evaluated.

A fully connected network of 64 neurons, trained on 600 of the recordings of an N-MNIST folder and measured on 500
others, post-training and fine-tuned in training for 2 epochs. It takes 15 minutes of one core; interrupted, the same
command goes on. The table is part of the project: compare_samplers.py and compare_pruning.py read it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
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

WIDTHS = {
    "layers.1.weight": (1, 6),
    "layers.3.weight": (1, 6),
    "layers.2.v": (1, 6),
    "layers.2.threshold": 8,
    "layers.2.decay": 8,
}
TRAINING_SAMPLES = 600
VALIDATION_SAMPLES = 500
BLOCK = 2
"""Sensor pixels of a side of a frame's pixel."""


class Network(nn.Module):
    """578 pixels of events, 64 leaky neurons, 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        pixels = 2 * (34 // BLOCK) ** 2
        lif = neuron.LIFNode(tau=2.0, decay_input=False, detach_reset=True, surrogate_function=surrogate.ATan())
        self.layers = nn.Sequential(
            layer.Flatten(), layer.Linear(pixels, 64, bias=False), lif, layer.Linear(64, 10, bias=False)
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
    parser.add_argument("--output", type=Path, default=table_path("supervised"))
    arguments = parser.parse_args()
    table = make_table(partial(make_workload, arguments.data_dir), WIDTHS, arguments.output, arguments.processes)
    print(f"{size_of(table.space)} configurations, float {table.baseline:.2%}, best {table.accuracy.max():.2%}")


def make_workload(data_dir: Path) -> SupervisedWorkload:
    """The network and its data, small so that a thousand fine-tunings fit into minutes."""
    torch.set_num_threads(1)
    frames = load_pooled(replace(NMNIST, block=BLOCK), data_dir)
    training, validation = random_split(frames, (TRAINING_SAMPLES, VALIDATION_SAMPLES), seed=0)
    train = partial(fit, batches=FrameBatches(training, 20, shuffle=True), progress=False)
    return SupervisedWorkload(
        Network,
        train=partial(train, epochs=20, learning_rate=3e-3),
        fine_tune=partial(train, epochs=2, learning_rate=6e-4),
        calibration=FrameBatches(training[:100], 50),
        validation=FrameBatches(validation, 50),
    )


if __name__ == "__main__":
    main()
