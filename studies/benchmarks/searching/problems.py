"""What samplers and pruners are compared on: tables of real evaluations, and synthetic problems."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from pathlib import Path

import numpy as np

from qspinn_optuna import QuantizationConfig, QuantizationSpace, Workload
from searching.formulas import SYNTHETIC_PROBLEMS
from searching.fronts import Front
from searching.tables import EvaluationTable, params_of_row

TABLES = {
    "mnist": ("mnist_stdp.npz", 0.1),
    "supervised": ("supervised.npz", 0.1),
    "supervised-if": ("supervised_if.npz", 0.1),
}
"""File of each table, and the accuracy of guessing."""

FLOORS = {"noise-power-floor": ("noise-power", 0.02), "supervised-floor": ("supervised", 0.01)}
"""Problems with an accuracy floor: the problem without it, and how much accuracy may be lost against the baseline."""


@dataclass(frozen=True)
class Problem:
    """What is searched, and what there is to find.

    Args:
        workload: What is measured.
        space: What is searched.
        truth: Accuracy of a configuration without the noise of measuring it; NaN if the workload refuses it.
        find_front: Gives that of the true accuracies, which takes seconds.
        chance: Accuracy of guessing.
        floor: Accuracy below which nothing counts; None if everything does.
    """

    workload: Workload
    space: QuantizationSpace
    truth: Callable[[QuantizationConfig], float]
    find_front: Callable[[], Front]
    chance: float
    floor: float | None = None

    @cached_property
    def front(self) -> Front:
        """The front of the true accuracies."""
        return self.find_front()

    @property
    def reference_kib(self) -> float:
        """Memory of the 32-bit original."""
        rounding, scheme = self.space.roundings[0], self.space.schemes[0]
        return self.space.footprint(self.space.uniform(8, scheme, rounding)).baseline_kib

    def hypervolume(self, front: Front) -> float:
        """Of ``front``, as a share of what there is between the reference, at the floor if any, and the ideal."""
        return front.hypervolume(self.reference_kib, self.chance if self.floor is None else self.floor)


def problem_names() -> list[str]:
    """The problems there are: tables that have not been made are left out."""
    plain = [name for name in TABLES if table_path(name).exists()] + list(SYNTHETIC_PROBLEMS)
    return plain + [name for name, (without, _) in FLOORS.items() if without in plain]


def table_path(name: str) -> Path:
    """File of a table."""
    return Path(__file__).parents[1] / "tables" / TABLES[name][0]


def make_problem(name: str, seed: int) -> Problem:
    """A table, which is the same for all seeds, or the instance ``seed`` of a synthetic problem."""
    if name in FLOORS:
        without, drop = FLOORS[name]
        problem = make_problem(without, seed)
        return replace(problem, floor=problem.workload.baseline - drop)
    if name in TABLES:
        return table_problem(table_path(name), TABLES[name][1])
    workload = SYNTHETIC_PROBLEMS[name](seed)
    return Problem(workload, workload.space, workload.truth, lambda: workload.front, workload.chance)


@lru_cache(maxsize=len(TABLES))
def table_problem(path: Path, chance: float) -> Problem:
    """A table, whose accuracies are taken for the true ones."""
    table = EvaluationTable.load(path)
    space, accuracy = table.space, table.accuracy
    evaluated = np.flatnonzero(~np.isnan(accuracy))

    def truth(config: QuantizationConfig) -> float:
        return float(accuracy[table.row(space.params(config))])

    def find_front() -> Front:
        memory = [space.footprint(space.config(params_of_row(space, row))).kib for row in evaluated.tolist()]
        return Front.of(memory, accuracy[evaluated])

    return Problem(table, space, truth, find_front, chance)


@cache
def digest_of(name: str, seed: int) -> str:
    """Of what a problem says of itself, and of the accuracies on its diagonal: a few of them tell instances apart."""
    problem = make_problem(name, seed)
    space = problem.space
    diagonal = [
        problem.truth(space.uniform(width, scheme, rounding))
        for width in range(1, 17)
        for scheme in space.schemes
        for rounding in space.roundings
    ]
    content: list[object] = [dict(problem.workload.describe()), [f"{accuracy:.9f}" for accuracy in diagonal]]
    # Digests of problems without a floor are those of stored runs.
    text = json.dumps(content if problem.floor is None else [*content, problem.floor], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
