"""What the trials of a study say, in numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from .grid import Rows, SearchGrid

Floats = NDArray[np.float64]

SUGGESTED = "known_objective:params"
"""System attribute of a trial: what was suggested for it, before the objective has asked for all of it."""

_EXACT = 1e-9
"""Relative difference up to which a constraint is an objective moved by a constant."""


@dataclass(frozen=True)
class Observation:
    """The modelled objective of a configuration; ``weight`` is 1 for a value as exact as any, less for a vaguer one."""

    value: float
    weight: float = 1.0


@dataclass(frozen=True)
class Data:
    """A study as a model sees it; gains are to be maximized, costs to be minimized.

    Attributes:
        rows: Configurations of which the gain was observed, [observations, dimensions].
        gains: Their gains, [observations].
        weights: How much each counts, [observations].
        on_front: Which of them are finished and feasible trials, [observations].
        pending: Configurations that are being evaluated, [pending, dimensions].
        least_gain: The gain that constraints ask for; minus infinity if they do not.
        largest_cost: The cost that constraints allow; infinity if they do not bound it.
        constraints: Of every other constraint the configurations that have it, [trials, dimensions], and its values,
            [trials], which are at most 0 where it is kept.
    """

    rows: Rows
    gains: Floats
    weights: Floats
    on_front: NDArray[np.bool_]
    pending: Rows
    least_gain: float
    largest_cost: float
    constraints: Mapping[str, tuple[Rows, Floats]]


class History:
    """Reads a study. A finished trial does not change any more, so it is read once.

    Args:
        grid: The space.
        observe: What a finished trial says of the modelled objective, None if nothing.
    """

    def __init__(self, grid: SearchGrid, observe: Callable[[FrozenTrial], Observation | None]) -> None:
        self._grid = grid
        self._observe = observe
        self._forget(None)

    def __getstate__(self) -> dict[str, Any]:
        # A copy reads for itself: a storage does not pickle in general.
        return {"_grid": self._grid, "_observe": self._observe}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget(None)

    def _forget(self, study: Study | None) -> None:
        """Begin with another study."""
        # The storage is held on to: another one at its address would be taken for it.
        self._of = None if study is None else (study._storage, study._study_id)
        self._rows: dict[int, Rows | None] = {}
        self._observations: dict[int, Observation] = {}

    def seen(self, study: Study, besides: FrozenTrial | None = None) -> set[bytes]:
        """The configurations of all trials but ``besides``, whatever became of them, as the bytes of their rows."""
        rows = (self._row(study, trial) for trial in _others(study, besides))
        return {row.tobytes() for row in rows if row is not None}

    def read(
        self,
        study: Study,
        current: FrozenTrial,
        signs: tuple[float, float],
        index: int,
        further: Iterable[tuple[Mapping[str, Any], Observation]] = (),
    ) -> Data:
        """The study in numbers, without its ``current`` trial.

        Args:
            study: The study.
            current: The trial that is being sampled.
            signs: By which the values of the two objectives are multiplied to be a cost and a gain.
            index: Which of the objectives is the cost.
            further: Parameters and observations that are no trials of the study.
        """
        finished, pending = [], []
        for trial in _others(study, current):
            row = self._row(study, trial)
            if row is not None and trial.number in self._observations:
                finished.append((trial, row, self._observations[trial.number]))
            elif row is not None and trial.state is TrialState.RUNNING:
                pending.append(row)
        measured = [(self._grid.encode(params), observation) for params, observation in further]
        rows = [row for _, row, _ in finished] + [row for row, _ in measured if row is not None]
        observations = [entry for *_, entry in finished] + [entry for row, entry in measured if row is not None]
        least_gain, largest_cost, names = _bounds([trial for trial, *_ in finished], signs, index)
        constraints: dict[str, tuple[Rows, Floats]] = {}
        for name in sorted(names):
            having = [(row, trial.constraints[name]) for trial, row, _ in finished if name in trial.constraints]
            constraints[name] = self._stack([row for row, _ in having]), _finite([value for _, value in having])
        on_front = [trial.state is TrialState.COMPLETE and _is_feasible(trial) for trial, *_ in finished]
        return Data(
            rows=self._stack(rows),
            gains=np.array([signs[1] * entry.value for entry in observations]),
            weights=np.array([entry.weight for entry in observations]),
            on_front=np.array(on_front + [False] * (len(rows) - len(finished)), dtype=bool),
            pending=self._stack(pending),
            least_gain=least_gain,
            largest_cost=largest_cost,
            constraints=constraints,
        )

    def _stack(self, rows: list[Rows]) -> Rows:
        return np.array(rows) if rows else np.empty((0, len(self._grid.names)))

    def _row(self, study: Study, trial: FrozenTrial) -> Rows | None:
        """The configuration of a trial, as far as it is known; None if it is of other parameters."""
        if self._of is None or self._of[0] is not study._storage or self._of[1] != study._study_id:
            self._forget(study)
        if trial.number in self._rows:
            return self._rows[trial.number]
        known = {**trial.system_attrs.get(SUGGESTED, {}), **fixed_params(trial)}
        row = self._grid.encode(known)
        if trial.state.is_finished():
            self._rows[trial.number] = row
            observation = self._observe(trial)
            if observation is not None:
                self._observations[trial.number] = observation
        return row


def fixed_params(trial: FrozenTrial) -> dict[str, Any]:
    """What is fixed before a trial is sampled: what was enqueued, or what the trial had that this one is a retry of."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _others(study: Study, besides: FrozenTrial | None) -> list[FrozenTrial]:
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if besides is None or trial.number != besides.number]


def _is_feasible(trial: FrozenTrial) -> bool:
    return all(value <= 0 for value in trial.constraints.values())


def _bounds(trials: list[FrozenTrial], signs: tuple[float, float], index: int) -> tuple[float, float, set[str]]:
    """The least gain and the largest cost that constraints allow, and the names of those that say something else.

    A constraint is a bound on an objective if it differs from it by the same constant in all trials.
    """
    least_gain, largest_cost, others = -np.inf, np.inf, set()
    trials = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    for name in {name for trial in trials for name in trial.constraints}:
        having = [trial for trial in trials if name in trial.constraints]
        values = _finite([trial.constraints[name] for trial in having])
        costs = signs[0] * np.array([trial.values[index] for trial in having])
        gains = signs[1] * np.array([trial.values[1 - index] for trial in having])
        if _is_constant(values + gains, gains):
            least_gain = max(least_gain, float((values + gains).mean()))
        elif _is_constant(values - costs, costs):
            largest_cost = min(largest_cost, float((costs - values).mean()))
        else:
            others.add(name)
    return least_gain, largest_cost, others


def _is_constant(differences: Floats, objective: Floats) -> bool:
    """Whether a constraint differs from an objective by a constant, and the objective varies enough to tell."""
    spread = float(np.ptp(objective))
    return spread > 0 and float(np.ptp(differences)) <= _EXACT * max(spread, float(np.abs(objective).max()))


def _finite(values: list[float]) -> Floats:
    """Constraints, of which an infinite one counts as one as large as the largest finite one."""
    array = np.array(values)
    largest = np.abs(array[np.isfinite(array)]).max(initial=0.0) or 1.0
    return array.clip(-largest, largest)
