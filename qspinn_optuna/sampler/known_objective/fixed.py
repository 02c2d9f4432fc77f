"""Parameters whose values are fixed before a trial is sampled."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.samplers import BaseSampler, PartialFixedSampler
from optuna.study import Study
from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class FixedParams:
    """The fixed parameters of one trial.

    Attributes:
        enqueued: Values of this trial alone, see :func:`enqueued_params`.
        held: Values of all trials of the study, see :func:`held_params`.
    """

    enqueued: Mapping[str, Any]
    held: Mapping[str, Any]

    @classmethod
    def of(cls, study: Study, trial: FrozenTrial, names: Container[str]) -> FixedParams:
        """The fixed parameters of a trial, as far as they have one of the names."""
        enqueued, held = enqueued_params(trial), held_params(study.sampler)
        return cls(
            {name: value for name, value in enqueued.items() if name in names},
            {name: value for name, value in held.items() if name in names},
        )

    @property
    def values(self) -> dict[str, Any]:
        """All fixed values; a held value overrides an enqueued one."""
        return {**self.enqueued, **self.held}


def enqueued_params(trial: FrozenTrial) -> dict[str, Any]:
    """The values with which a trial was enqueued, or those of the trial that it retries."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def held_params(sampler: BaseSampler) -> dict[str, Any]:
    """The values that a study's sampler holds itself, around the sampler of the other parameters."""
    held: dict[str, Any] = {}
    while isinstance(sampler, PartialFixedSampler):
        # The outer sampler overrides the inner one.
        held = {**sampler._fixed_params, **held}
        sampler = sampler._base_sampler
    return held
