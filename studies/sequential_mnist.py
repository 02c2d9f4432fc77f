"""Search the quantization of a supervised spiking network that reads MNIST's digits row by row.

Without arguments: 5,000 real digits that come with a package, a network of two layers, which sees a row of 28 pixels in
each of 28 time steps, and a study in qspinn.db in the current folder, which ends with a table of the front, the chosen
model, its accuracy on the test set, and that of a network without states. Run again, the study goes on, and the float
network is not trained again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from qspinn_optuna import SupervisedWorkload
from qspinn_optuna.cli import main_of_file
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import ImageSplits, embedded_mnist, mnist_from_folder
from qspinn_optuna.workloads.supervised.events import RUNGS
from qspinn_optuna.workloads.supervised.events import search_space as space
from qspinn_optuna.workloads.supervised.sequences import SequenceRecipe, first_trials, sequence_workload
from qspinn_optuna.workloads.supervised.sequences import state_controls as controls

__all__ = ["add_arguments", "controls", "first_trials", "space", "workload"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the network and its data."""
    parser.set_defaults(study="sequential-mnist", trials=8)
    group = parser.add_argument_group("network and data")
    group.add_argument("--data-dir", type=Path, help="folder of MNIST's IDX files; the embedded digits if not given")
    group.add_argument("--train-size", type=positive, help="training images; all if not given")
    group.add_argument("--recurrent", action="store_true", help="weights from the first layer's spikes back to it")
    group.add_argument(
        "--one-bit", action="store_true", help="search weights from one bit on, with a scale per channel"
    )
    group.add_argument("--hidden", type=positive, help="neurons of each layer; 128, or 64 on the embedded digits")
    group.add_argument("--epochs", type=positive, help="of the float network's training")
    group.add_argument(
        "--fine-tune-epochs", type=positive, help="of in-training quantization, and of its float baseline"
    )
    group.add_argument("--cache", type=Path, default=Path("qspinn-cache"), help="folder that keeps trained networks")


def workload(arguments: argparse.Namespace) -> SupervisedWorkload:
    """The network on the digits that the command line asks for."""
    data = load_data(arguments)
    recipe = SequenceRecipe.for_images(len(data.train), recurrent=arguments.recurrent)
    if arguments.one_bit:
        recipe = recipe.for_one_bit()
    names = ("hidden", "epochs", "fine_tune_epochs")
    changes = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    return sequence_workload(
        replace(recipe, **changes),
        data,
        cache=arguments.cache,
        seed=arguments.seed,
        rungs=() if arguments.pruning_confidence is None else RUNGS,
    )


def load_data(arguments: argparse.Namespace) -> ImageSplits:
    """The digits that the command line asks for."""
    data = embedded_mnist() if arguments.data_dir is None else mnist_from_folder(arguments.data_dir)
    return data if arguments.train_size is None else data.with_train_size(arguments.train_size)


if __name__ == "__main__":
    sys.exit(main_of_file(__file__))
