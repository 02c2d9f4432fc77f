"""What the pruner saves of trainings: real ones, of STDP networks that learn with quantized weights.

Random search, in-training quantization only. A training that the pruner stopped is completed afterwards, outside of the
study: it was stopped wrongly if it would have beaten the front of the trials that had finished before it. The test
allows that for half of 1 - confidence of the trainings that would.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mnist_table import SETTINGS
from optuna.samplers import RandomSampler

from qspinn_optuna import FrontPruner, QuantizationSpace, Scheme
from qspinn_optuna.cli.argument_types import confidence, positive
from qspinn_optuna.datasets import embedded_mnist, mnist_from_folder
from qspinn_optuna.workloads.stdp import STDPWorkload
from qspinn_optuna.workloads.stdp.mnist import RUNGS
from searching.evaluations import whole_accuracy
from searching.processes import in_processes
from searching.search import EVALUATION_SEED, SearchedTrial, search

WIDTHS: Mapping[str, int | tuple[int, int]] = {
    "weight": (1, 8),
    "membrane": (5, 12),
    "theta": (3, 10),
    "scale": 8,
    "membrane_decay": 16,
}


@dataclass(frozen=True)
class Task:
    """One study: what it is of, and how it is pruned."""

    data_dir: Path | None
    seed: int
    trials: int
    confidence: float


@dataclass(frozen=True)
class Outcome:
    """What became of the trainings of a study.

    Args:
        cut: Number that were stopped.
        saved: Share of all training that was saved.
        wrong: Number of those stopped that would have beaten the front.
        better: Number of those completed that did, and of those stopped that would have.
    """

    cut: int
    saved: float
    wrong: int
    better: int


def main() -> None:
    """Run the studies and print what became of all their trainings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder of MNIST's IDX files; 5,000 embedded digits if not given")
    parser.add_argument("--confidence", type=confidence, default=0.9)
    parser.add_argument("--seeds", type=positive, default=4, help="studies")
    parser.add_argument("--trials", type=positive, default=150, help="of each study")
    parser.add_argument("--processes", type=positive, default=2, help="studies at once")
    arguments = parser.parse_args()
    tasks = [Task(arguments.data_dir, seed, arguments.trials, arguments.confidence) for seed in range(arguments.seeds)]
    outcomes = list(in_processes(run_study, tasks, arguments.processes))
    print(
        f"{sum(outcome.cut for outcome in outcomes)} of {arguments.seeds * arguments.trials} trainings stopped, "
        f"{statistics.mean(outcome.saved for outcome in outcomes):.0%} of training saved; "
        f"{sum(outcome.wrong for outcome in outcomes)} of {sum(outcome.better for outcome in outcomes)} that beat the "
        f"front when they began were stopped"
    )


def run_study(task: Task) -> Outcome:
    """Run one study, then complete what was stopped in training."""
    data = embedded_mnist() if task.data_dir is None else mnist_from_folder(task.data_dir).with_train_size(10_000)
    # The embedded digits are too few for the images that the table's network is labelled and adapted with.
    settings = SETTINGS if task.data_dir else replace(SETTINGS, label_images=2_000, adaptation_images=1_000)
    workload = STDPWorkload(data, settings, seed=task.seed, threads=1, rungs=RUNGS)
    space = QuantizationSpace(workload.parameters, WIDTHS, schemes=[Scheme.ITQ])
    sampler, pruner = RandomSampler(seed=task.seed), FrontPruner(task.confidence)
    searched = list(search(workload, space, sampler, task.trials, pruner))
    cut, wrong, better, left = 0, 0, 0, 0.0
    for number, trial in enumerate(searched):
        earlier = searched[:number]
        if trial.trained is not None:
            cut += 1
            left += 1 - trial.trained
            wrong += beats_front(earlier, trial, whole_accuracy(workload, trial.config, EVALUATION_SEED))
        elif trial.accuracy is not None:
            better += beats_front(earlier, trial, trial.accuracy)
    return Outcome(cut, left / task.trials, wrong, better + wrong)


def beats_front(earlier: Iterable[SearchedTrial], trial: SearchedTrial, accuracy: float) -> bool:
    """Whether an accuracy gives a trial a place on the front of the trials that finished before it."""
    return all(
        accuracy > other.accuracy
        for other in earlier
        if other.accuracy is not None and other.memory_kib <= trial.memory_kib
    )


if __name__ == "__main__":
    main()
