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

import event_data
import optuna
from command_line import make_pruner, make_sampler, measure_first, parse, positive, study_parser
from report import report

from qspinn_optuna import Family, QuantizationObjective, QuantizationSpace, Rounding, Scheme, open_study
from qspinn_optuna.datasets import FrameSplits
from qspinn_optuna.workloads.supervised import FrameBatches, SupervisedWorkload

RECIPES = {"generated": event_data.GESTURES, "dvs-gesture": event_data.DVS_GESTURE, "nmnist": event_data.NMNIST}
BITS = {"weight": (2, 8), "membrane": (1, 8), "trace": (2, 8), "threshold": (2, 8), "decay": (2, 8)}
PROBES = ((8, 8), (4, 4), (3, 2), (2, 2), (2, 1))
"""Widths of weights and states that a study begins with, in training and after it."""
COEFFICIENT_BITS = 6
RUNGS = (0.25, 0.5, 0.75)
"""Fractions of in-training quantization after which a pruner looks, each at the end of an epoch."""


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
    space = make_space(workload)
    print(f"{space.cardinality:,} configurations", flush=True)
    study = search(arguments, workload, space, arguments.accuracy_drop)
    report(arguments, workload, study, controls(workload, data))


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
        enqueue_probes(study, space)
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
        event_data.generate_gestures(root, arguments.users, arguments.test_users, arguments.seed)
    data = event_data.load_splits(recipe, root, pool=arguments.pool, seed=arguments.seed)
    local = arguments.network == "local"
    workload = event_data.make_workload(
        recipe,
        data,
        local=local,
        cache=arguments.cache,
        seed=arguments.seed,
        rungs=() if arguments.pruning_confidence is None else RUNGS,
    )
    return data, workload


def make_space(workload: SupervisedWorkload) -> QuantizationSpace:
    """The search space: widths of each layer's weights and states, one for all thresholds, one for all decays."""
    ties = {
        parameter.name: parameter.family.value
        for parameter in workload.parameters
        if parameter.family in (Family.THRESHOLD, Family.DECAY)
    }
    widths = {
        parameter.name: (BITS[parameter.family][0], min(BITS[parameter.family][1], parameter.max_bits))
        for parameter in workload.parameters
        if parameter.fixed_bits is None
    }
    return QuantizationSpace(workload.parameters, widths, ties=ties)


def enqueue_probes(study: optuna.Study, space: QuantizationSpace) -> None:
    """Begin with uniform widths, which show what each scheme can bear."""
    for weight_bits, state_bits in PROBES:
        for scheme in space.schemes:
            study.enqueue_trial(uniform_params(space, weight_bits, state_bits, scheme))


def uniform_params(space: QuantizationSpace, weight_bits: int, state_bits: int, scheme: Scheme) -> dict[str, object]:
    """Parameters of a trial with one width for all weights, and one for all states."""
    params = space.params(space.uniform(COEFFICIENT_BITS, scheme, Rounding.NEAREST))
    for parameter in space.searched:
        if parameter.family in (Family.WEIGHT, Family.MEMBRANE, Family.TRACE):
            width = weight_bits if parameter.family is Family.WEIGHT else state_bits
            params[f"bits.{parameter.name}"] = min(max(width, BITS[parameter.family][0]), parameter.max_bits)
    return params


def controls(workload: SupervisedWorkload, data: FrameSplits) -> dict[str, float]:
    """What tells whether the task needs its states: the float network without them, trained anew."""
    networks = {"float, fine-tuned": workload.baseline_network, "states deleted, retrained": workload.state_deleted}
    parts = {"": data.test, ", circling arms alone": event_data.circles_of(data.test) if data.classes == 11 else None}
    return {
        f"{network_name}{part_name}": workload.accuracy_of(network, FrameBatches(part, 110))
        for network_name, network in networks.items()
        for part_name, part in parts.items()
        if part is not None
    }


if __name__ == "__main__":
    main()
