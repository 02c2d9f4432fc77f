"""Search the quantization of an unsupervised STDP network on MNIST.

Without arguments: 5,000 real digits that come with a package, a study in qspinn.db in the current folder, a table of
the front, the chosen model and its accuracy on the test set. Run again, the study goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import optuna
from command_line import make_pruner, measure_first, parse, study_parser
from report import report

from qspinn_optuna import Deployment, QuantizationObjective, open_study
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import ImageSplits, download_mnist, embedded_mnist, mnist_from_folder
from qspinn_optuna.opening import limit_accuracy_drop
from qspinn_optuna.sampler.by_name import make_sampler
from qspinn_optuna.workloads.stdp import STDPWorkload
from qspinn_optuna.workloads.stdp.mnist import RUNGS, first_trials, mnist_settings, search_space


def main() -> None:
    """Run, and tell errors in a line."""
    arguments = parse_arguments()
    try:
        run(arguments)
    except KeyboardInterrupt:
        sys.exit("Stopped; finished trials are kept, and the same command goes on.")
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"mnist_stdp.py: error: {error}")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, or these arguments."""
    parser = study_parser(__doc__ or "", study_name="mnist-stdp")
    network = parser.add_argument_group("network and data")
    network.add_argument("--data-dir", type=Path, help="folder of MNIST's IDX files; the embedded digits if not given")
    network.add_argument("--download", action="store_true", help="download MNIST to --data-dir if it is not there")
    network.add_argument("--neurons", type=positive, default=400, help="neurons of the network")
    network.add_argument("--train-size", type=positive, help="training images; all if not given")
    network.add_argument("--epochs", type=positive, help="passes over them; 1, or 3 if they are fewer than 10,000")
    network.add_argument(
        "--minimum-input-spikes", type=float, default=0.0, help="drop inputs with fewer spikes an image, with weights"
    )
    network.add_argument(
        "--on-device-learning", action="store_true", help="quantize a device that learns, without float weights"
    )
    parsed = parse(parser, arguments)
    if parsed.download and parsed.data_dir is None:
        parser.error("--download needs --data-dir, the folder to download to")
    return parsed


def run(arguments: argparse.Namespace) -> None:
    """One study, one report."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    workload = make_workload(arguments)
    space = search_space(workload)
    study = open_study(arguments.study_name, arguments.storage, space, workload=workload)
    print(f"{space.cardinality:,} configurations; training the float network ...", flush=True)
    limit_accuracy_drop(study, workload, arguments.accuracy_drop)
    # The sampler of a study that goes on must not draw again what it drew at its beginning.
    study.sampler = make_sampler(arguments.sampler, space, arguments.seed + len(study.trials))
    objective = QuantizationObjective(workload, space, seed=arguments.seed, pruner=make_pruner(arguments))
    measure_first(arguments, study, workload, space)
    if not study.trials:
        for params in first_trials(space):
            study.enqueue_trial(params)
    if arguments.trials > 0:
        study.optimize(objective, n_trials=arguments.trials, show_progress_bar=True)
    report(arguments, workload, study)


def make_workload(arguments: argparse.Namespace) -> STDPWorkload:
    """The network and its data."""
    data = load_data(arguments)
    deployment = Deployment.LEARNING if arguments.on_device_learning else Deployment.INFERENCE
    settings = mnist_settings(
        len(data.train),
        neurons=arguments.neurons,
        epochs=arguments.epochs,
        minimum_input_spikes=arguments.minimum_input_spikes,
        deployment=deployment,
    )
    looks = () if arguments.pruning_confidence is None else RUNGS
    return STDPWorkload(data, settings, seed=arguments.seed, deployment=deployment, rungs=looks)


def load_data(arguments: argparse.Namespace) -> ImageSplits:
    """The images that were asked for."""
    if arguments.data_dir is None:
        data = embedded_mnist()
    else:
        data = mnist_from_folder(download_mnist(arguments.data_dir) if arguments.download else arguments.data_dir)
    return data if arguments.train_size is None else data.with_train_size(arguments.train_size)


if __name__ == "__main__":
    main()
