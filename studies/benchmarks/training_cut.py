"""What the pruner saves of trainings: real ones, of STDP networks that learn with quantized weights.

Random search, in-training quantization only. A training that the pruner stopped is completed afterwards, outside of the
study: it was stopped wrongly if it would have beaten the front of the trials that had finished before it. The test
allows that for half of 1 - confidence of the trainings that would.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from evaluation_table import final_accuracy
from mnist_table import SETTINGS
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState
from processes import in_processes

from qspinn_optuna import FrontPruner, QuantizationObjective, QuantizationSpace, Scheme
from qspinn_optuna.datasets import embedded_mnist, mnist_from_folder
from qspinn_optuna.pruning.requirement import find_requirement
from qspinn_optuna.study import DIRECTIONS, Stage, TrialRecord
from qspinn_optuna.workloads.stdp import STDPWorkload

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the modules of the studies are

from command_line import confidence, positive
from mnist_stdp import RUNGS

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
    objective = QuantizationObjective(workload, space, pruner=FrontPruner(task.confidence))
    study = optuna.create_study(directions=DIRECTIONS, sampler=RandomSampler(seed=task.seed))
    study.optimize(objective, n_trials=task.trials)
    cut = [trial for trial in study.trials if TrialRecord(trial).pruned_at is Stage.TRAINING]
    completed = [final_accuracy(workload, space.config(trial.params), objective.seed) for trial in cut]
    wrong = [_beats_front(study, trial, accuracy) for trial, accuracy in zip(cut, completed, strict=True)]
    complete = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
    better = [_beats_front(study, trial, trial.values[1]) for trial in complete]
    left = sum(1 - TrialRecord(trial).progress[-1].fraction for trial in cut)
    return Outcome(len(cut), left / task.trials, sum(wrong), sum(better) + sum(wrong))


def _beats_front(study: optuna.Study, trial: FrozenTrial, accuracy: float) -> bool:
    """Whether an accuracy would have had a place on the front of the trials before."""
    earlier = [other for other in study.trials[: trial.number] if other.state is TrialState.COMPLETE]
    footprint = TrialRecord(trial).footprint
    assert footprint is not None
    requirement = find_requirement(earlier, footprint.kib, None)
    return requirement is None or requirement.is_passed_by(accuracy)


if __name__ == "__main__":
    main()
