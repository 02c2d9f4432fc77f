"""Claims of configurations: none is suggested twice while others are left, by any number of workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna import TrialPruned
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from .fixed import FixedParams
from .grid import Rows, SearchGrid
from .history import SUGGESTED, History

# Below Optuna's own loggers, so that it is shown as their lines are.
_LOGGER = optuna.logging.get_logger("optuna.samplers.known_objective")

_SCANNED = 1_000_000
"""Points up to which the last unseen ones are looked for one by one."""

_ATTEMPTS = 100
"""Attempts to claim a configuration that no other worker claims, before a repeated one is accepted."""


class SpaceExhausted(TrialPruned):
    """Every configuration has been suggested: the trial is pruned, and ``study.optimize`` ends with it.

    With ``study.ask``, the caller has to tell the study that the trial was pruned. ``study.ask(distributions)`` raises
    before it returns a trial: that trial is the last of ``study.trials``, and ``study.tell`` takes its number.

    Example:
        >>> issubclass(SpaceExhausted, optuna.TrialPruned)
        True
    """


class Claims:
    """The claimed configurations of a study, whose claims all workers read in its storage.

    Args:
        grid: The search space.
        history: Reads the study.
    """

    def __init__(self, grid: SearchGrid, history: History) -> None:
        self._grid = grid
        self._history = history

    def claim(
        self, study: Study, trial: FrozenTrial, ranking: Iterable[Rows], fixed: FixedParams, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Claim the first configuration that nobody has claimed, before other workers choose the same.

        Args:
            study: The study.
            trial: The trial that is being sampled.
            ranking: Candidates, the best first.
            fixed: The fixed parameters of the trial.
            rng: Source of random draws, once all candidates are taken.

        Raises:
            SpaceExhausted: If no configuration is left, and there is no reason to repeat one.
        """
        taken = self._history.seen(study, trial)
        candidates = (self._grid.decode(row) for row in ranking)
        for _ in range(_ATTEMPTS):
            params = next((params for params in candidates if self._grid.identity(params) not in taken), {})
            if not params:
                may_repeat = bool(fixed.enqueued) or any(map(self._has_others, study.get_trials(deepcopy=False)))
                params = self._last_unseen(taken, fixed.values, rng, may_repeat=may_repeat)
            # Without a result this takes back a claim of an earlier attempt.
            study._storage.set_trial_system_attr(trial._trial_id, SUGGESTED, params)
            if not params:
                _stop(study)
                raise SpaceExhausted(
                    f"{self._all_beside(fixed.held)} have been suggested, nothing is left to try: widen the space, in "
                    "a new study."
                )
            # NOTE: all write before they read, so of two workers with the same choice at least one sees the other's,
            # and chooses again.
            others = self._history.seen(study, trial)
            if self._grid.identity(params) not in others - taken:
                break
            taken |= others
        return params

    def stop_if_exhausted(self, study: Study, trial: FrozenTrial, held: Mapping[str, Any]) -> None:
        """End ``study.optimize`` when all configurations with the held values are claimed and none waits.

        Args:
            study: The study, of two objectives.
            trial: The trial that has just finished.
            held: Values that all trials have.
        """
        left = self._grid.cardinality_beside(held)
        # As many configurations cannot have been seen by fewer trials.
        if trial.number + 1 < left or self._has_others(trial):
            return
        waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if not waiting and self._number_of(self._history.seen(study), held) >= left:
            _LOGGER.info(f"{self._all_beside(held)} have been suggested: the optimization ends.")
            _stop(study)

    def _last_unseen(
        self, taken: set[bytes], fixed: Mapping[str, Any], rng: np.random.Generator, *, may_repeat: bool
    ) -> dict[str, Any]:
        """When all candidates are taken: an unseen point, or else one to repeat if that is allowed.

        Empty if there is neither.
        """
        if self._grid.cardinality <= _SCANNED:
            for row in self._grid.hold(rng.permutation(self._grid.everything()), fixed):
                if row.tobytes() not in taken:
                    return self._grid.decode(row)
        if may_repeat or self._grid.cardinality > _SCANNED:
            return self._grid.decode(self._grid.hold(self._grid.draw(1, rng), fixed)[0])
        return {}

    def _number_of(self, seen: set[bytes], held: Mapping[str, Any]) -> int:
        """How many of the seen configurations have the held values."""
        rows = np.array([np.frombuffer(row) for row in seen]).reshape(len(seen), len(self._grid.names))
        return int((self._grid.hold(rows, held) == rows).all(axis=1).sum())

    def _has_others(self, trial: FrozenTrial) -> bool:
        """Whether a trial has parameters outside of the search space: each configuration is then many."""
        return not trial.params.keys() <= self._grid.all_names

    def _all_beside(self, held: Mapping[str, Any]) -> str:
        return f"All {self._grid.cardinality_beside(held):,.0f} configurations of the search space"


def _stop(study: Study) -> None:
    """End ``study.optimize``, if that is what runs."""
    if study._thread_local.in_optimize_loop:
        study.stop()
