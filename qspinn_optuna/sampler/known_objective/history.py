"""Reads the trials of a study as numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from .constraints import Threshold, find_bounds, finite, is_feasible
from .draws import first_attempt
from .fixed import enqueued_params
from .grid import Rows, SearchGrid
from .objectives import KnownObjective, Objectives
from .observations import Observation, Observations

SUGGESTED = "known_objective:params"
"""System attribute of a trial: what was suggested for it, before the objective has asked for all of it."""


class History:
    """Reads a study. A finished trial does not change any more, so it is read once.

    Args:
        grid: The search space.
        known: The known objective.
        observe: Gives what a finished trial tells about the modelled objective, None if nothing.
    """

    def __init__(
        self, grid: SearchGrid, known: KnownObjective, observe: Callable[[FrozenTrial], Observation | None]
    ) -> None:
        self._grid = grid
        self._known = known
        self._observe = observe
        self._forget(None)

    def __getstate__(self) -> dict[str, Any]:
        # A copy reads for itself: a storage does not pickle in general.
        return {"_grid": self._grid, "_known": self._known, "_observe": self._observe}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget(None)

    def _forget(self, study: Study | None) -> None:
        """Begin with another study."""
        # The reference keeps the storage alive: otherwise another one could get its address, and be taken for it.
        self._of = None if study is None else (study._storage, study._study_id)
        self._rows: dict[int, Rows | None] = {}
        self._observations: dict[int, Observation] = {}

    def seen(self, study: Study, besides: FrozenTrial | None = None) -> set[bytes]:
        """The configurations of all trials but ``besides``, in any state, as the bytes of their rows."""
        rows = (self._row(study, trial) for trial in _others(study, besides))
        return {row.tobytes() for row in rows if row is not None}

    def read(
        self,
        study: Study,
        current: FrozenTrial,
        objectives: Objectives,
        *,
        further: Iterable[tuple[Mapping[str, Any], Observation]] = (),
        threshold: Threshold | None = None,
    ) -> Observations:
        """The study in numbers, without its ``current`` trial.

        Args:
            study: The study.
            current: The trial that is being sampled.
            objectives: The objectives of the study.
            further: Parameters and observations that belong to no trial of the study.
            threshold: What the modelled objective must reach; bounds are read from constraints in any case.
        """
        finished, pending = [], []
        for trial in _others(study, current):
            row = self._row(study, trial)
            if row is not None and trial.number in self._observations:
                finished.append((trial, row, self._observations[trial.number]))
            elif row is not None and trial.state is TrialState.RUNNING:
                pending.append(row)
        measured = [(self._grid.encode(params), observation) for params, observation in further]
        # New observations are the last ones.
        rows = self._stack([row for row, _ in measured if row is not None] + [row for _, row, _ in finished])
        observations = [entry for row, entry in measured if row is not None] + [entry for *_, entry in finished]
        bounds = find_bounds([trial for trial, *_ in finished], objectives, threshold)
        constraints = {}
        for name in bounds.others:
            having = [(row, trial.constraints[name]) for trial, row, _ in finished if name in trial.constraints]
            constraints[name] = self._stack([row for row, _ in having]), finite([value for _, value in having])
        feasible = [
            trial.state is TrialState.COMPLETE and is_feasible(trial, objectives, threshold) for trial, *_ in finished
        ]
        return Observations(
            rows=rows,
            costs=objectives.cost_sign * self._known(rows),
            gains=np.array([objectives.gain_sign * entry.value for entry in observations]),
            weights=np.array([entry.weight for entry in observations]),
            feasible=np.array([False] * (len(rows) - len(finished)) + feasible, dtype=bool),
            pending=self._stack(pending),
            required_gain=bounds.required_gain,
            largest_cost=bounds.largest_cost,
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
        row = self._grid.encode({**trial.system_attrs.get(SUGGESTED, {}), **enqueued_params(trial)})
        if trial.state.is_finished():
            self._rows[trial.number] = row
            observation = self._observe(trial)
            if observation is not None:
                self._observations[trial.number] = observation
        return row


def _others(study: Study, besides: FrozenTrial | None) -> list[FrozenTrial]:
    trials = study.get_trials(deepcopy=False)
    # A trial that tries another one again may suggest the same.
    return [trial for trial in trials if besides is None or first_attempt(trial) != first_attempt(besides)]
