"""One study of a problem: its trials, what they cost and what they found."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from search_problems import digest_of, make_problem
from synthetic_problems import Front

from qspinn_optuna import (
    Deployment,
    FrontPruner,
    MemoryAwareSampler,
    ParameterSpec,
    QuantizationConfig,
    QuantizationObjective,
    QuantizationSpace,
    TrainingProgress,
    Workload,
)
from qspinn_optuna.study import DIRECTIONS

SAMPLERS = ("gp", "memory-aware-pruned", "memory-aware", "tpe", "tpe-multivariate", "nsgaii", "random")
"""Slow ones first: processes that share the runs then end at about the same time."""

CONFIDENCE = 0.95
"""Of the pruner."""


@dataclass(frozen=True)
class Run:
    """One study of a problem.

    Args:
        instance: A digest of the problem, so that runs of another one of the same name are told apart.
        regret: After each trial.
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


@dataclass
class CountingWorkload:
    """A workload that counts the samples it evaluates."""

    workload: Workload
    samples: int = field(default=0, init=False)

    @property
    def parameters(self) -> Sequence[ParameterSpec]:
        """Those of the workload."""
        return self.workload.parameters

    @property
    def deployment(self) -> Deployment:
        """That of the workload."""
        return self.workload.deployment

    @property
    def baseline(self) -> float:
        """That of the workload."""
        return self.workload.baseline

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int] | TrainingProgress]:
        """What the workload says, as far as it is asked for."""
        before = self.samples
        for look in self.workload.evaluate(config, seed):
            if isinstance(look, tuple):
                self.samples = before + look[1]
            yield look

    def describe(self) -> Mapping[str, Any]:
        """As the workload does."""
        return self.workload.describe()


def run_study(task: tuple[str, str, int, int]) -> Run:
    """Run one study of (problem, sampler, seed, trials)."""
    name, sampler_name, seed, trials = task
    problem = make_problem(name, seed)
    workload = CountingWorkload(problem.workload)
    pruner = FrontPruner(CONFIDENCE) if sampler_name == "memory-aware-pruned" else None
    objective = QuantizationObjective(workload, problem.space, pruner=pruner)
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler(sampler_name, problem.space, seed))
    best = problem.hypervolume(problem.front)
    memory, accuracy = [], []
    regret, samples, seconds, repeated = [], [], [], []
    suggested: set[QuantizationConfig] = set()
    for _ in range(trials):
        before = workload.samples
        trial, spent = run_trial(study, objective)
        config = problem.space.config(trial.params)
        if trial.state is TrialState.COMPLETE:
            memory.append(problem.space.footprint(config).kib)
            accuracy.append(problem.truth(config))
        regret.append(best - problem.hypervolume(Front.of(memory, accuracy)))
        samples.append(workload.samples - before)
        seconds.append(spent)
        repeated.append(config in suggested)
        suggested.add(config)
    return Run(name, sampler_name, seed, digest_of(name, seed), regret, samples, seconds, repeated)


def run_trial(study: optuna.Study, objective: QuantizationObjective) -> tuple[optuna.trial.FrozenTrial, float]:
    """The next trial of a study, and the seconds that its sampler took."""
    start = time.perf_counter()
    # All dimensions at once: the sampler is at work here and when it is told the values, and nowhere else.
    trial = study.ask(objective.space.distributions)
    seconds = time.perf_counter() - start
    try:
        values, state = objective(trial), TrialState.COMPLETE
    except optuna.TrialPruned:
        values, state = None, TrialState.PRUNED
    start = time.perf_counter()
    frozen = study.tell(trial, values, state)
    return frozen, seconds + time.perf_counter() - start


def make_sampler(name: str, space: QuantizationSpace, seed: int) -> BaseSampler:
    """The sampler with one of the names in ``SAMPLERS``."""
    match name:
        case "memory-aware" | "memory-aware-pruned":
            sampler: BaseSampler = MemoryAwareSampler(space, seed=seed)
        case "gp":
            sampler = optuna.samplers.GPSampler(seed=seed)
        case "tpe":
            sampler = optuna.samplers.TPESampler(seed=seed)
        case "tpe-multivariate":
            sampler = optuna.samplers.TPESampler(multivariate=True, seed=seed)
        case "nsgaii":
            # Of Optuna's default of 50, 100 trials would be two generations.
            sampler = optuna.samplers.NSGAIISampler(population_size=20, seed=seed)
        case _:
            sampler = optuna.samplers.RandomSampler(seed=seed)
    return sampler
