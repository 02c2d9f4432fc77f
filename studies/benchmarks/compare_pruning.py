"""What the pruner saves and what it costs: the same sampler and seeds, with several pruners and without one.

An evaluation that the pruner stopped is completed afterwards, outside of the study. It was stopped wrongly if it would
have been on the front of everything that the study suggested, which then is not the one that it found. Hypervolumes are
of the accuracies that a study measured, since these are what the pruner decides by, as a share of the area from no
memory to that of the 32-bit original and from chance to an accuracy of 1.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from qspinn_optuna import FrontPruner, QuantizationConfig, QuantizationSpace, Workload
from qspinn_optuna.cli.argument_types import confidence, fraction, positive
from qspinn_optuna.sampler.by_name import SAMPLERS, make_sampler
from searching.evaluations import whole_counts
from searching.fronts import Front
from searching.markdown import markdown_header, markdown_row
from searching.problems import FLOORS, make_problem, problem_names
from searching.processes import in_processes
from searching.search import EVALUATION_SEED, Ending, search

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
    available = [name for name in problem_names() if name not in FLOORS]
    parser.add_argument("--problems", nargs="+", choices=available, default=available)
    parser.add_argument("--sampler", choices=SAMPLERS, default="tpe")
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
    print(markdown_header(columns))
    for problem in arguments.problems:
        for pruner in pruners:
            print(row([run for run in outcomes if (run.problem, run.pruner) == (problem, pruner)]))


def run_study(task: Task) -> Outcome:
    """Run one study, then complete what its pruner stopped."""
    name, sampler_name, seed, trials, pruner = task
    problem = make_problem(name, seed)
    sampler = make_sampler(sampler_name, problem.space, seed)
    searched = list(search(problem.workload, problem.space, sampler, trials, pruner))
    finished = {trial.config: trial.accuracy for trial in searched if trial.accuracy is not None}
    stopped = [trial.config for trial in searched if trial.ending is Ending.STOPPED]
    completed = complete(problem.workload, stopped)
    evaluated = sum(trial.samples for trial in searched)
    whole = sum(trial.samples for trial in searched if trial.ending is Ending.FINISHED)
    # Without the pruner, a configuration that is suggested again is not evaluated again: each counts once.
    whole += sum(seen for _, seen in completed.values())
    found = front_of(problem.space, finished)
    accuracies = {config: correct / seen for config, (correct, seen) in completed.items()}
    suggested = front_of(problem.space, finished | accuracies)
    return Outcome(
        problem=name,
        pruner=pruner,
        samples=evaluated / whole,
        stopped=len(stopped) / trials,
        wrong=len(points_of(suggested) - points_of(found)),
        front=len(suggested),
        found=problem.hypervolume(found),
        suggested=problem.hypervolume(suggested),
    )


def complete(workload: Workload, configs: Iterable[QuantizationConfig]) -> dict[QuantizationConfig, tuple[int, int]]:
    """Correct answers and samples of whole evaluations, one for each configuration."""
    return {config: whole_counts(workload, config, EVALUATION_SEED) for config in dict.fromkeys(configs)}


def row(outcomes: Sequence[Outcome]) -> str:
    """A line of the table: means over the seeds, and the sum of what went wrong."""
    mean, pruner = statistics.mean, outcomes[0].pruner
    return markdown_row(
        [
            outcomes[0].problem,
            *([f"{pruner.confidence}", f"{pruner.minimum_gain}"] if pruner else ["no pruner", ""]),
            f"{mean(run.samples for run in outcomes):.1%}",
            f"{mean(run.stopped for run in outcomes):.1%}",
            f"{sum(run.wrong for run in outcomes)} of {sum(run.front for run in outcomes)}",
            f"{mean(run.found for run in outcomes):.4f}",
            f"{mean(run.suggested for run in outcomes):.4f}",
        ]
    )


def front_of(space: QuantizationSpace, accuracies: Mapping[QuantizationConfig, float]) -> Front:
    """The front of configurations with these accuracies."""
    return Front.of([space.footprint(config).kib for config in accuracies], list(accuracies.values()))


def points_of(front: Front) -> set[tuple[float, float]]:
    """The points of a front, (memory, accuracy)."""
    return set(zip(front.memory_kib.tolist(), front.accuracy.tolist(), strict=True))


if __name__ == "__main__":
    main()
