"""Digits row by row, a task that needs its states: studies of several seeds, each model tested on unseen digits.

For each seed, and for a feed-forward and a recurrent network, the float network is trained, and a study of
`sequential_mnist.py` is run. Of it are tested the smallest model that loses at most a point on the held-out digits, and
the most accurate one there that is at least 16 times smaller. Changes are against the float network that was fine-tuned
for the same epochs; the control is the float network whose states are deleted, trained anew. Everything is kept, and
not repeated when the script runs again. Errors are standard errors: of the mean over seeds, or of the test if there is
one seed.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import torch

from qspinn_optuna import ParetoFront, QuantizationObjective, SupervisedWorkload, open_study
from qspinn_optuna.cli.argument_types import count, output_file, positive
from qspinn_optuna.cli.json_files import write_json
from qspinn_optuna.datasets import ImageSplits, mnist_from_folder
from qspinn_optuna.front import Candidate
from qspinn_optuna.sampler.by_name import make_sampler
from qspinn_optuna.tables import format_table
from qspinn_optuna.workloads.supervised.events import search_space
from qspinn_optuna.workloads.supervised.sequences import (
    SequenceRecipe,
    first_trials,
    sequence_workload,
    state_controls,
)

NETWORKS = {"feed-forward": False, "recurrent": True}
"""Whether the first layer is recurrent, by the name of the network."""

SMALLER = 16.0
"""How many times smaller a model is to be."""

DROP = 0.01
"""Accuracy that a model may lose."""


def main() -> None:
    """Run all seeds of all networks, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--networks", choices=NETWORKS, nargs="+", default=list(NETWORKS))
    parser.add_argument("--train-size", type=positive, help="training images; all if not given")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trials", type=count, default=10, help="of each study, in all")
    parser.add_argument("--threads", type=positive, default=1, help="of torch")
    parser.add_argument("--cache", type=Path, default=Path("qspinn-cache"), help="folder that keeps trained networks")
    parser.add_argument("--storage", default="sqlite:///sequential_results.db")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write the figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = mnist_from_folder(arguments.data_dir)
    if arguments.train_size is not None:
        data = data.with_train_size(arguments.train_size)
    measured: dict[str, list[dict[str, dict[str, float]]]] = {name: [] for name in arguments.networks}
    for seed in arguments.seeds:
        for name, seeds in measured.items():
            seeds.append(one_seed(arguments, data, name, seed))
    for name, seeds in measured.items():
        print(f"{name}, {len(seeds)} seeds, {len(data.test):,} test digits")
        print(format_table(["network", "smaller", "test accuracy", "change in points"], table(seeds, len(data.test))))
    if arguments.json is not None:
        write_json(arguments.json, measured)


def one_seed(arguments: argparse.Namespace, data: ImageSplits, network: str, seed: int) -> dict[str, dict[str, float]]:
    """Test accuracy, size, and change against the float baseline of every row of the table."""
    recipe = SequenceRecipe.for_images(len(data.train), recurrent=NETWORKS[network]).for_one_bit()
    workload = sequence_workload(recipe, data, cache=arguments.cache, seed=seed)
    controls = state_controls(workload)
    baseline = next(iter(controls.values()))
    rows = {name: {"accuracy": accuracy, "change": accuracy - baseline} for name, accuracy in controls.items()}
    print(f"{network}, seed {seed}: {controls}", flush=True)
    study = search(arguments, workload, f"{network}-{len(data.train)}-{seed}", seed)
    for name, chosen in choices(ParetoFront.from_study(study), workload.baseline).items():
        accuracy = workload.test(chosen.config, seed)
        rows[name] = {"accuracy": accuracy, "change": accuracy - baseline, "compression": chosen.compression}
        print(f"{network}, seed {seed}: {name}: {rows[name]}", flush=True)
    return rows


def search(arguments: argparse.Namespace, workload: SupervisedWorkload, name: str, seed: int) -> optuna.Study:
    """The study of one seed, begun or continued."""
    space = search_space(workload)
    study = open_study(name, arguments.storage, space, workload=workload, accuracy_drop=1.0)
    study.sampler = make_sampler("memory-aware", space, seed)
    if not study.trials:
        for params in first_trials(space):
            study.enqueue_trial(params)
    done = len([trial for trial in study.trials if trial.state.is_finished()])
    if done < arguments.trials:
        study.optimize(QuantizationObjective(workload, space, seed=seed), n_trials=arguments.trials - done)
    return study


def choices(front: ParetoFront, baseline: float) -> dict[str, Candidate]:
    """The models that are tested, as far as there are such; all chosen on the held-out digits."""
    accurate = [candidate for candidate in front if candidate.accuracy >= baseline - DROP]
    small = [candidate for candidate in front if candidate.compression >= SMALLER]
    found: dict[str, Candidate] = {}
    if accurate:
        found["smallest within a point"] = accurate[0]
    if small:
        found[f"best at {SMALLER:.0f}x and more"] = small[-1]
    return found


def table(seeds: Sequence[dict[str, dict[str, float]]], tested: int) -> list[list[str]]:
    """The rows of one network, means over seeds."""
    rows = []
    for name in dict.fromkeys(name for seed in seeds for name in seed):
        found: list[dict[str, Any]] = [seed[name] for seed in seeds if name in seed]
        accuracies = [100 * one["accuracy"] for one in found]
        changes = [100 * one["change"] for one in found]
        sizes = [one["compression"] for one in found if "compression" in one]
        smaller = f"{min(sizes):.1f}x to {max(sizes):.1f}x" if sizes else ""
        rows.append([name, smaller, with_error(accuracies, tested), with_error(changes, tested, sign="+")])
    return rows


def with_error(percents: Sequence[float], tested: int, sign: str = "") -> str:
    """A mean and its standard error, from the seeds, or else from the number of tested samples."""
    mean = statistics.mean(percents)
    if len(percents) > 1:
        return f"{mean:{sign}.2f} +- {statistics.stdev(percents) / math.sqrt(len(percents)):.2f}"
    if sign:
        return f"{mean:{sign}.2f}"
    return f"{mean:.2f} +- {100 * math.sqrt(mean / 100 * (1 - mean / 100) / tested):.2f}"


if __name__ == "__main__":
    main()
