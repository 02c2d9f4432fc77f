"""Search the quantization of a supervised spiking network on event-camera data.

Without arguments: gestures are generated as recordings in DVS-Gesture's format, a convolutional network is trained on
them, and a study in qspinn.db in the current folder ends with a table of the front, the chosen model and its accuracy
on people that it has never seen. Run again, the study goes on, and the float network is not trained again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import optuna
from command_line import make_pruner, measure_first, parse, study_parser
from report import report

from qspinn_optuna import QuantizationObjective, QuantizationSpace, open_study
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import FrameSplits
from qspinn_optuna.sampler.by_name import make_sampler
from qspinn_optuna.workloads.supervised import SupervisedWorkload
from qspinn_optuna.workloads.supervised.events import (
    RECIPES,
    RUNGS,
    event_workload,
    first_trials,
    generate_gestures,
    load_splits,
    search_space,
    state_controls,
)


def main() -> None:
    """Run, and tell errors in a line."""
    arguments = parse_arguments()
    try:
        run(arguments)
    except KeyboardInterrupt:
        sys.exit("Stopped; finished trials are kept, and the same command goes on.")
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        sys.exit(f"dvs_gesture.py: error: {error}")


def parse_arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, this process's if none is given."""
    parser = study_parser(__doc__ or "", study_name="dvs-gesture")
    parser.set_defaults(trials=14)
    data = parser.add_argument_group("network and data")
    data.add_argument("--dataset", choices=RECIPES, help="dvs-gesture if --data-dir is given, else generated")
    data.add_argument(
        "--data-dir", type=Path, help="folder of the data set; generated gestures go to generated-gestures"
    )
    data.add_argument("--users", type=positive, default=20, help="people whose gestures are generated for training")
    data.add_argument("--test-users", type=positive, default=8, help="other people, for the test")
    data.add_argument("--pool", action="store_true", help="pool training and test recordings, and split them by --seed")
    data.add_argument(
        "--merge-polarities",
        action=argparse.BooleanOptionalAction,
        help="one channel; if not given, for generated gestures only",
    )
    data.add_argument(
        "--time-reversal",
        action=argparse.BooleanOptionalAction,
        help="play half of the gestures backwards, so that circles need a memory; if not given, only generated ones",
    )
    data.add_argument("--network", choices=("conv", "local"), default="conv", help="local: layers that learn locally")
    data.add_argument("--epochs", type=positive, help="of the float network's training")
    data.add_argument("--fine-tune-epochs", type=positive, help="of in-training quantization")
    data.add_argument("--cache", type=Path, default=Path("qspinn-cache"), help="folder that keeps trained networks")
    arguments = parse(parser, command_line)
    arguments.dataset = arguments.dataset or ("dvs-gesture" if arguments.data_dir else "generated")
    if arguments.data_dir is None and arguments.dataset != "generated":
        parser.error(f"--dataset {arguments.dataset} needs --data-dir, its folder")
    if arguments.pool and arguments.dataset != "nmnist":
        parser.error("--pool is for N-MNIST: with gestures, the same people would be in training and test")
    if arguments.time_reversal and arguments.dataset == "nmnist":
        parser.error("--time-reversal is for gestures: a digit played backwards is the same digit")
    return arguments


def run(arguments: argparse.Namespace) -> None:
    """One study, one report."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data, workload = prepare(arguments)
    print(f"{len(data.train)} training, {len(data.validation)} held-out and {len(data.test)} test samples", flush=True)
    space = search_space(workload)
    print(f"{space.cardinality:,} configurations", flush=True)
    study = search(arguments, workload, space, arguments.accuracy_drop)
    report(arguments, workload, study, state_controls(workload, data))


def search(
    arguments: argparse.Namespace, workload: SupervisedWorkload, space: QuantizationSpace, accuracy_drop: float
) -> optuna.Study:
    """Begin the study, or go on with it."""
    study = open_study(arguments.study_name, arguments.storage, space, workload=workload, accuracy_drop=accuracy_drop)
    # The sampler of a study that goes on must not draw again what it drew at its beginning.
    study.sampler = make_sampler(arguments.sampler, space, arguments.seed + len(study.trials))
    objective = QuantizationObjective(
        workload,
        space,
        seed=arguments.seed,
        pruner=make_pruner(arguments),
    )
    measure_first(arguments, study, workload, space)
    if not study.trials:
        for params in first_trials(space):
            study.enqueue_trial(params)
    if arguments.trials > 0:
        study.optimize(objective, n_trials=arguments.trials, show_progress_bar=True)
    return study


def prepare(arguments: argparse.Namespace) -> tuple[FrameSplits, SupervisedWorkload]:
    """The data and the network."""
    recipe = RECIPES[arguments.dataset]
    changes = {
        name: getattr(arguments, name)
        for name in ("merge_polarities", "time_reversal", "epochs", "fine_tune_epochs")
        if getattr(arguments, name) is not None
    }
    recipe = replace(recipe, **changes)
    root = arguments.data_dir or Path("generated-gestures")
    if arguments.dataset == "generated":
        generate_gestures(root, arguments.users, arguments.test_users, arguments.seed)
    data = load_splits(recipe, root, pool=arguments.pool, seed=arguments.seed)
    local = arguments.network == "local"
    workload = event_workload(
        recipe,
        data,
        local=local,
        cache=arguments.cache,
        seed=arguments.seed,
        rungs=() if arguments.pruning_confidence is None else RUNGS,
    )
    return data, workload


if __name__ == "__main__":
    main()
