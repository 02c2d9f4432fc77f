"""Search the quantization of a supervised spiking network on event-camera data.

Without arguments: gestures are generated as recordings in DVS-Gesture's format, a convolutional network is trained on
them, and a study in qspinn.db in the current folder ends with a table of the front, the chosen model and its accuracy
on people that it has never seen. Run again, the study goes on, and the float network is not trained again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from qspinn_optuna import SupervisedWorkload
from qspinn_optuna.cli import main_of_file
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import EventDataset, FrameSplits
from qspinn_optuna.workloads.supervised.events import (
    GENERATED,
    RECIPES,
    RUNGS,
    EventRecipe,
    event_workload,
    first_trials,
    generate_gestures,
    load_splits,
    state_controls,
)
from qspinn_optuna.workloads.supervised.events import search_space as space

__all__ = ["add_arguments", "controls", "first_trials", "space", "workload"]

DATA: dict[SupervisedWorkload, FrameSplits] = {}
"""The frames of each workload, on which its controls are tested."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the network and its data."""
    parser.set_defaults(study="dvs-gesture", trials=14)
    group = parser.add_argument_group("network and data")
    group.add_argument("--dataset", choices=RECIPES, help="dvs-gesture if --data-dir is given, else generated")
    group.add_argument(
        "--data-dir", type=Path, help="folder of the data set; generated gestures go to generated-gestures"
    )
    group.add_argument("--users", type=positive, default=20, help="people whose gestures are generated for training")
    group.add_argument("--test-users", type=positive, default=8, help="other people, for the test")
    group.add_argument(
        "--pool", action="store_true", help="pool training and test recordings, and split them by --seed"
    )
    group.add_argument(
        "--merge-polarities",
        action=argparse.BooleanOptionalAction,
        help="one channel; if not given, for generated gestures only",
    )
    group.add_argument(
        "--time-reversal",
        action=argparse.BooleanOptionalAction,
        help="play half of the gestures backwards, so that circles need a memory; if not given, only generated ones",
    )
    group.add_argument("--network", choices=("conv", "local"), default="conv", help="local: layers that learn locally")
    group.add_argument("--epochs", type=positive, help="of the float network's training")
    group.add_argument("--fine-tune-epochs", type=positive, help="of in-training quantization")
    group.add_argument("--cache", type=Path, default=Path("qspinn-cache"), help="folder that keeps trained networks")


def workload(arguments: argparse.Namespace) -> SupervisedWorkload:
    """The network on the recordings that the command line asks for."""
    arguments.dataset = arguments.dataset or ("dvs-gesture" if arguments.data_dir else "generated")
    check(arguments)
    recipe = recipe_of(arguments)
    root = arguments.data_dir or Path("generated-gestures")
    if arguments.dataset in GENERATED:
        generate_gestures(root, arguments.users, arguments.test_users, arguments.seed)
    data = load_splits(recipe, root, pool=arguments.pool, seed=arguments.seed)
    print(f"{len(data.train)} training, {len(data.validation)} held-out and {len(data.test)} test samples", flush=True)
    made = event_workload(
        recipe,
        data,
        local=arguments.network == "local",
        cache=arguments.cache,
        seed=arguments.seed,
        rungs=() if arguments.pruning_confidence is None else RUNGS,
    )
    DATA[made] = data
    return made


def controls(workload: SupervisedWorkload) -> dict[str, float]:
    """Whether the task needs states: the float network with them, and without them."""
    return state_controls(workload, DATA[workload])


def recipe_of(arguments: argparse.Namespace) -> EventRecipe:
    """The recipe of the data set, with what the command line changes of it."""
    names = ("merge_polarities", "time_reversal", "epochs", "fine_tune_epochs")
    changes = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    return replace(RECIPES[arguments.dataset], **changes)


def check(arguments: argparse.Namespace) -> None:
    """Refuse options that do not fit together."""
    if arguments.data_dir is None and arguments.dataset not in GENERATED:
        raise argparse.ArgumentError(None, f"--dataset {arguments.dataset} needs --data-dir, its folder")
    if arguments.pool and RECIPES[arguments.dataset].dataset is not EventDataset.NMNIST:
        message = "--pool is for N-MNIST: with gestures, the same people would be in training and test"
        raise argparse.ArgumentError(None, message)
    if arguments.time_reversal and RECIPES[arguments.dataset].dataset is EventDataset.NMNIST:
        message = "--time-reversal is for gestures: a digit played backwards is the same digit"
        raise argparse.ArgumentError(None, message)


if __name__ == "__main__":
    sys.exit(main_of_file(__file__))
