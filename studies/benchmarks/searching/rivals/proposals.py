"""A search that is written as a generator, as a sampler of Optuna."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna import QuantizationSpace
from qspinn_optuna.study import accuracy_floor
from searching.rivals.choices import Choices, Params


@dataclass
class Notes:
    """What a search knows of its study.

    Args:
        choices: What there is to choose from.
        floor: Accuracy that counts for nothing if it is not reached; 0 without one.
        rng: Source of all random draws.
    """

    choices: Choices
    floor: float
    rng: np.random.Generator
    params: list[Params] = field(default_factory=list, init=False)
    """Of all configurations that were measured, in order."""
    accuracy: list[float] = field(default_factory=list, init=False)
    _known: dict[tuple[Any, ...], float] = field(default_factory=dict, init=False)

    def measure(self, params: Params) -> Generator[Params, float, float]:
        """The accuracy of a configuration; a trial if it is a new one."""
        key = self.choices.key(params)
        if key not in self._known:
            accuracy = yield params
            self._known[key] = accuracy
            self.params.append(params)
            self.accuracy.append(accuracy)
        return self._known[key]

    def is_new(self, params: Params) -> bool:
        """Whether a configuration has not been measured."""
        return self.choices.key(params) not in self._known


Proposals = Generator[Params, float, None]
"""A search: it yields the parameters of the next trial, and is sent the accuracy; 0 if there is none."""

Rival = Callable[[Notes], Proposals]
"""Begins a search that never ends."""


class ProposedSampler(BaseSampler):
    """Suggests what a rival proposes, one trial after the other: for one worker, and a study from its beginning.

    Args:
        rival: The search.
        space: What is searched.
        seed: Of the search's draws.
    """

    def __init__(self, rival: Rival, space: QuantizationSpace, seed: int) -> None:
        self._rival = rival
        self._choices = Choices(space)
        self._seed = seed
        self._proposals: Proposals | None = None
        self._next: Params = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The whole space."""
        del study, trial
        return dict(self._choices.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """What is proposed."""
        del trial
        if self._proposals is None:
            floor = accuracy_floor(study) or 0.0
            self._proposals = self._rival(Notes(self._choices, floor, np.random.default_rng(self._seed)))
            self._next = next(self._proposals)
        return {name: self._next[name] for name in search_space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value, for what is not of the space."""
        return RandomSampler(self._seed).sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tell the rival."""
        del study, trial
        if self._proposals is not None:
            accuracy = values[1] if state is TrialState.COMPLETE and values is not None else 0.0
            self._next = self._proposals.send(accuracy)
