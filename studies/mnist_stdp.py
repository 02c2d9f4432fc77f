"""Search the quantization of an unsupervised STDP network on MNIST.

Without arguments: 5,000 real digits that come with a package, a study in qspinn.db in the current folder, a table of
the front, the chosen model and its accuracy on the test set. Run again, the study goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from qspinn_optuna import Deployment, STDPWorkload
from qspinn_optuna.cli import main_of_file
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import ImageSplits, download_mnist, embedded_mnist, mnist_from_folder
from qspinn_optuna.workloads.stdp import ReadoutKind
from qspinn_optuna.workloads.stdp.mnist import RUNGS, first_trials, mnist_settings
from qspinn_optuna.workloads.stdp.mnist import float_controls as controls
from qspinn_optuna.workloads.stdp.mnist import search_space as space

__all__ = ["add_arguments", "controls", "first_trials", "space", "workload"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the network and its data."""
    parser.set_defaults(study="mnist-stdp")
    group = parser.add_argument_group("network and data")
    group.add_argument("--data-dir", type=Path, help="folder of MNIST's IDX files; the embedded digits if not given")
    group.add_argument("--download", action="store_true", help="download MNIST to --data-dir if it is not there")
    group.add_argument("--neurons", type=positive, default=400, help="neurons of the network")
    group.add_argument("--train-size", type=positive, help="training images; all if not given")
    group.add_argument("--epochs", type=positive, help="passes over them; 2 or 3 if not given, 1 if the device learns")
    group.add_argument(
        "--readout",
        type=ReadoutKind,
        choices=list(ReadoutKind),
        default=ReadoutKind.VOTE,
        help="from spikes to classes",
    )
    group.add_argument(
        "--minimum-input-spikes", type=float, default=0.0, help="drop inputs with fewer spikes an image, with weights"
    )
    group.add_argument(
        "--on-device-learning", action="store_true", help="quantize a device that learns, without float weights"
    )


def workload(arguments: argparse.Namespace) -> STDPWorkload:
    """The network on the images that the command line asks for."""
    data = load_data(arguments)
    deployment = Deployment.LEARNING if arguments.on_device_learning else Deployment.INFERENCE
    settings = mnist_settings(
        len(data.train),
        neurons=arguments.neurons,
        epochs=arguments.epochs,
        readout=ReadoutKind(arguments.readout),
        minimum_input_spikes=arguments.minimum_input_spikes,
        deployment=deployment,
    )
    rungs = () if arguments.pruning_confidence is None else RUNGS
    return STDPWorkload(data, settings, seed=arguments.seed, deployment=deployment, rungs=rungs)


def load_data(arguments: argparse.Namespace) -> ImageSplits:
    """The images that the command line asks for."""
    if arguments.data_dir is not None:
        data = mnist_from_folder(download_mnist(arguments.data_dir) if arguments.download else arguments.data_dir)
    elif arguments.download:
        raise argparse.ArgumentError(None, "--download needs --data-dir, the folder to download to")
    else:
        data = embedded_mnist()
    return data if arguments.train_size is None else data.with_train_size(arguments.train_size)


if __name__ == "__main__":
    sys.exit(main_of_file(__file__))
