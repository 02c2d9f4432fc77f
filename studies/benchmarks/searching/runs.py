"""A run: one study of a problem by one contestant, and what it missed and cost after each trial."""

from __future__ import annotations

from dataclasses import dataclass

from qspinn_optuna import QuantizationConfig
from searching.contestants import make_contestant
from searching.fronts import Front
from searching.problems import digest_of, make_problem
from searching.search import Ending, search


@dataclass(frozen=True)
class Run:
    """One study of a problem.

    Args:
        problem: Name of the problem.
        sampler: Name of the contestant.
        seed: Of the problem's instance and of the sampler.
        instance: A digest of the problem, so that runs of another one of the same name are told apart.
        regret: After each trial, the hypervolume that the true front has more than what was found.
        samples: Samples evaluated in each trial: none for a configuration that the study has seen.
        seconds: Of the sampler, for each trial.
        repeated: Whether each trial's configuration had been suggested before.
    """

    problem: str
    sampler: str
    seed: int
    instance: str
    regret: list[float]
    samples: list[int]
    seconds: list[float]
    repeated: list[bool]


def run_contestant(task: tuple[str, str, int, int]) -> Run:
    """The run of (problem, contestant, seed, trials)."""
    problem_name, contestant, seed, trials = task
    problem = make_problem(problem_name, seed)
    run = Run(problem_name, contestant, seed, digest_of(problem_name, seed), [], [], [], [])
    best = problem.hypervolume(problem.front)
    memory: list[float] = []
    accuracy: list[float] = []
    suggested: set[QuantizationConfig] = set()
    sampler, pruner = make_contestant(contestant, problem.space, seed, problem)
    for trial in search(problem.workload, problem.space, sampler, trials, pruner, problem.floor):
        if trial.ending is Ending.FINISHED:
            memory.append(trial.memory_kib)
            accuracy.append(problem.truth(trial.config))
        run.regret.append(best - problem.hypervolume(Front.of(memory, accuracy)))
        run.samples.append(trial.samples)
        run.seconds.append(trial.seconds)
        run.repeated.append(trial.config in suggested)
        suggested.add(trial.config)
    return run
