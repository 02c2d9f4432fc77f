"""What the pruner saves and what it costs: the same sampler and seeds, with several pruners and without one.

An evaluation that the pruner stopped is completed afterwards, outside of the study. It was stopped wrongly if it would
have been on the front of everything that the study suggested, which then is not the one that it found. Hypervolumes are
of the accuracies that a study measured, since these are what the pruner decides by, as a share of the area from no
memory to that of the 32-bit original and from chance to an accuracy of 1.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from evaluation_table import final_accuracy
from optuna.trial import TrialState
from processes import in_processes
from search_problems import Problem, make_problem, problem_names
from search_run import SAMPLERS, CountingWorkload, make_sampler, run_trial
from synthetic_problems import Front

from qspinn_optuna import FrontPruner, QuantizationConfig, QuantizationObjective
from qspinn_optuna.study import DIRECTIONS, TrialRecord

sys.path.insert(0, str(Path(__file__).parents[1]))  # where the modules of the studies are

from command_line import confidence, fraction, positive

Task = tuple[str, str, int, int, FrontPruner | None]
"""Problem, sampler, seed, trials, and the pruner, if there is one."""


@dataclass(frozen=True)
class Outcome:
    """One study.

    Args:
        problem: Its problem.
        pruner: Its pruner, if it has one.
        samples: Share of the samples of its evaluations that were evaluated.
        stopped: Share of its evaluations that the pruner stopped.
        wrong: Number of stopped configurations that would have been on the front.
        front: Number of configurations on the front if none had been stopped.
        found: Hypervolume of the front that the study found.
        suggested: Hypervolume of the front that it would have found of the same configurations without the pruner.
    """

    problem: str
    pruner: FrontPruner | None
    samples: float
    stopped: float
    wrong: int
    front: int
    found: float
    suggested: float


def main() -> None:
    """Run the studies and print what pruning did, a row for each problem and pruner."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    available = problem_names()
    parser.add_argument("--problems", nargs="+", choices=available, default=available)
    parser.add_argument("--sampler", choices=SAMPLERS, default="tpe-multivariate")
    parser.add_argument("--confidences", type=confidence, nargs="+", default=[0.8, 0.9, 0.95, 0.99])
    parser.add_argument("--gains", type=fraction, nargs="+", default=[0.0], help="leads worth a whole evaluation")
    parser.add_argument("--seeds", type=positive, default=10, help="studies with each pruner")
    parser.add_argument("--trials", type=positive, default=100, help="of each study")
    parser.add_argument("--processes", type=positive, default=2, help="studies at once")
    arguments = parser.parse_args()
    pruners: list[FrontPruner | None] = [None]
    pruners += [FrontPruner(confidence, gain) for gain in arguments.gains for confidence in arguments.confidences]
    tasks: list[Task] = [
        (problem, arguments.sampler, seed, arguments.trials, pruner)
        for problem in arguments.problems
        for pruner in pruners
        for seed in range(arguments.seeds)
    ]
    outcomes = list(in_processes(run_study, tasks, arguments.processes))
    columns = ["problem", "confidence", "minimum gain", "samples evaluated", "evaluations stopped"]
    columns += ["stopped wrongly", "hypervolume found", "of all suggested"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for problem in arguments.problems:
        for pruner in pruners:
            print(row([run for run in outcomes if (run.problem, run.pruner) == (problem, pruner)]))


def run_study(task: Task) -> Outcome:
    """Run one study, then complete what its pruner stopped."""
    name, sampler_name, seed, trials, pruner = task
    problem = make_problem(name, seed)
    workload = CountingWorkload(problem.workload)
    objective = QuantizationObjective(workload, problem.space, pruner=pruner)
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler(sampler_name, problem.space, seed))
    finished: dict[QuantizationConfig, float] = {}
    stopped: list[QuantizationConfig] = []
    whole = 0
    for _ in range(trials):
        before = workload.samples
        trial, _ = run_trial(study, objective)
        config = problem.space.config(trial.params)
        if trial.state is TrialState.COMPLETE:
            finished[config] = trial.values[1]
            whole += workload.samples - before
        elif TrialRecord(trial).refused is None:
            stopped.append(config)
    evaluated = workload.samples
    completed = {config: final_accuracy(workload, config, objective.seed) for config in stopped}
    # Without the pruner, a configuration that is suggested again is not evaluated again: each counts once.
    whole += workload.samples - evaluated
    found, suggested = _front(problem, finished), _front(problem, finished | completed)
    return Outcome(
        problem=name,
        pruner=pruner,
        samples=evaluated / whole,
        stopped=len(stopped) / trials,
        wrong=len(_points(suggested) - _points(found)),
        front=len(suggested),
        found=problem.hypervolume(found),
        suggested=problem.hypervolume(suggested),
    )


def row(outcomes: Sequence[Outcome]) -> str:
    """A line of the table: means over the seeds, and the sum of what went wrong."""
    mean, first = statistics.mean, outcomes[0]
    pruner = f"{first.pruner.confidence} | {first.pruner.minimum_gain}" if first.pruner else "no pruner | "
    return (
        f"| {first.problem} | {pruner} | {mean(run.samples for run in outcomes):.1%} "
        f"| {mean(run.stopped for run in outcomes):.1%} | {sum(run.wrong for run in outcomes)} of "
        f"{sum(run.front for run in outcomes)} | {mean(run.found for run in outcomes):.4f} "
        f"| {mean(run.suggested for run in outcomes):.4f} |"
    )


def _front(problem: Problem, accuracies: Mapping[QuantizationConfig, float]) -> Front:
    memory = [problem.space.footprint(config).kib for config in accuracies]
    return Front.of(memory, list(accuracies.values()))


def _points(front: Front) -> set[tuple[float, float]]:
    return set(zip(front.memory_kib.tolist(), front.accuracy.tolist(), strict=True))


if __name__ == "__main__":
    main()
