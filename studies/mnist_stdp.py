"""Search the quantization of an unsupervised STDP network on MNIST.

Without arguments: 5,000 real digits that come with a package, a study in qspinn.db in the current folder, a table of
the front, the chosen model and its accuracy on the test set. Run again, the study goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from qspinn_optuna import Deployment, QuantizationSpace, Rounding, Scheme
from qspinn_optuna.cli import main_of_file
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import ImageSplits, download_mnist, embedded_mnist, mnist_from_folder
from qspinn_optuna.fixed_point.qformat import MAX_BITS
from qspinn_optuna.space import width_name
from qspinn_optuna.workloads.stdp import STDPSettings, STDPWorkload

BITS = {"weight": (1, 8), "scale": (3, 8), "membrane": (6, 16), "threshold": (4, 16), "trace": (2, 8), "decay": (6, 16)}
TIES = {"membrane_decay": "decay", "trace_decay": "decay", "theta_decay": "decay"}
PROBES = {Deployment.INFERENCE: (8, 4, 2, 1), Deployment.LEARNING: (8, 7, 6, 5, 4)}
RUNGS = (0.2, 0.4, 0.6, 0.8)
"""Fractions of in-training quantization after which a pruner looks."""

SMALL_TRAINING_SET = 10_000
MANY_NEURONS = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The network and its data."""
    parser.set_defaults(study="mnist-stdp")
    group = parser.add_argument_group("network and data")
    group.add_argument("--data-dir", type=Path, help="folder of MNIST's IDX files; the embedded digits if not given")
    group.add_argument("--download", action="store_true", help="download MNIST to --data-dir if it is not there")
    group.add_argument("--neurons", type=positive, default=400, help="neurons of the network")
    group.add_argument("--train-size", type=positive, help="training images; all if not given")
    group.add_argument("--epochs", type=positive, help="passes over them; 1, or 3 if they are fewer than 10,000")
    group.add_argument(
        "--minimum-input-spikes", type=float, default=0.0, help="drop inputs with fewer spikes an image, with weights"
    )
    group.add_argument(
        "--on-device-learning", action="store_true", help="quantize a device that learns, without float weights"
    )


def workload(arguments: argparse.Namespace) -> STDPWorkload:
    """The network on the images that are asked for."""
    data = load_data(arguments)
    small = len(data.train) < SMALL_TRAINING_SET
    settings = STDPSettings(
        neurons=arguments.neurons,
        epochs=arguments.epochs or (3 if small else 1),
        theta_step=2.0 if small else 1.0,
        # Narrow weights are noisy: they settle at a lower rate than float ones.
        final_learning_rate=0.0025 if arguments.on_device_learning else 0.005,
        shadow=not arguments.on_device_learning,
        minimum_input_spikes=arguments.minimum_input_spikes,
        # The fewer neurons, the more often each wins, and its threshold grows: at most to what 100 steps can charge.
        voltage_range=512.0 if arguments.neurons >= MANY_NEURONS else 2048.0,
    )
    deployment = Deployment.LEARNING if arguments.on_device_learning else Deployment.INFERENCE
    rungs = () if arguments.pruning_confidence is None else RUNGS
    return STDPWorkload(data, settings, seed=arguments.seed, deployment=deployment, rungs=rungs)


def space(workload: STDPWorkload) -> QuantizationSpace:
    """The search space: a device that learns is quantized in training."""
    learning = workload.deployment is Deployment.LEARNING
    schemes = (Scheme.ITQ,) if learning else tuple(Scheme)
    names = {parameter.name for parameter in workload.parameters if learning or not parameter.learning_only}
    ties = {name: group for name, group in TIES.items() if name in names}
    return QuantizationSpace(workload.parameters, BITS, schemes, ties=ties, deployment=workload.deployment)


def first_trials(space: QuantizationSpace) -> list[dict[str, Any]]:
    """Begin with narrow weights beside wide states: weights take the memory, so these bound what each scheme gives."""
    rounding = Rounding.STOCHASTIC if space.deployment is Deployment.LEARNING else Rounding.NEAREST
    return [
        {**space.params(space.uniform(MAX_BITS, scheme, rounding)), width_name("weight"): width}
        for width in PROBES[space.deployment]
        for scheme in space.schemes
    ]


def load_data(arguments: argparse.Namespace) -> ImageSplits:
    """The images that are asked for."""
    if arguments.data_dir is None:
        if arguments.download:
            raise argparse.ArgumentError(None, "--download needs --data-dir, the folder to download to")
        data = embedded_mnist()
    else:
        data = mnist_from_folder(download_mnist(arguments.data_dir) if arguments.download else arguments.data_dir)
    return data if arguments.train_size is None else data.with_train_size(arguments.train_size)


if __name__ == "__main__":
    sys.exit(main_of_file(__file__))
