"""Samplers of Optuna that wrap another one."""

from __future__ import annotations

from typing import Any

from optuna.samplers import BaseSampler, PartialFixedSampler


def held_params(sampler: BaseSampler) -> dict[str, Any]:
    """The parameters that a study's sampler holds itself, around the one that samples the others."""
    held: dict[str, Any] = {}
    while isinstance(sampler, PartialFixedSampler):
        # The outer one has the last word.
        held = {**sampler._fixed_params, **held}
        sampler = sampler._base_sampler
    return held
