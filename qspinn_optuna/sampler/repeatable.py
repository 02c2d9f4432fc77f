"""Samplers of Optuna whose suggestions follow from the study, not from the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.sampler.known_objective.draws import first_attempt, fresh_seed, seeds_of
from qspinn_optuna.study import queued_if_interrupted


class RepeatableSampler(BaseSampler):
    """Suggests with a sampler that is made anew for every trial: nothing goes on in it but what the study stores.

    A study that is stopped and continued, with one worker, then has the trials of an undisturbed one.

    Args:
        make: Makes the sampler for a seed from 0 to 2**32 - 1. What it suggests may depend on the study and the seed
            only.
        seed: Seed of all random draws. Every worker needs its own.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int | None = None) -> None:
        self.make = make
        self._seed = fresh_seed() if seed is None else seed

    def reseed_rng(self) -> None:
        """Draw from now on what no copy of this sampler draws."""
        self._seed = fresh_seed()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What the sampler samples together."""
        return self._made_for(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """What the sampler suggests for the parameters that it samples together; interrupted, the trial is queued."""
        with queued_if_interrupted(study, trial):
            return self._made_for(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """What the sampler suggests for a parameter by itself."""
        # With a seed of its own: all parameters would get the same draw.
        sampler = self._made_for(study, trial, param_name)
        with queued_if_interrupted(study, trial):
            return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """What the sampler does before a trial."""
        self._made_for(study, trial).before_trial(study, trial)
        if _retries_a_suggestion(study, trial):
            # Optuna does not ask samplers for what is fixed, so NSGA-II would leave the trial out of its generation.
            self.sample_relative(study, trial, self.infer_relative_search_space(study, trial))

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """What the sampler does after a trial."""
        self._made_for(study, trial).after_trial(study, trial, state, values)

    def _made_for(self, study: Study, trial: FrozenTrial, parameter: str = "") -> BaseSampler:
        seeds = seeds_of(self._seed, study, trial, parameter)
        return self.make(int(seeds.generate_state(1)[0]))


def _retries_a_suggestion(study: Study, trial: FrozenTrial) -> bool:
    """Whether a trial tries one again that was not enqueued by hand."""
    first = first_attempt(trial)
    return first != trial.number and "fixed_params" not in study.get_trials(deepcopy=False)[first].system_attrs
