"""Samplers by the names that the command line gives them."""

from __future__ import annotations

from collections.abc import Callable

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from qspinn_optuna.sampler.memory_aware import MemoryAwareSampler
from qspinn_optuna.space import QuantizationSpace

_POPULATION = 20
"""Individuals of a generation of NSGA-II: with Optuna's 50, a study of 100 trials would be two generations."""

_MAKERS: dict[str, Callable[[QuantizationSpace, int], BaseSampler]] = {
    "memory-aware": lambda space, seed: MemoryAwareSampler(space, seed=seed),
    "tpe": lambda _, seed: TPESampler(multivariate=True, seed=seed),
    "tpe-univariate": lambda _, seed: TPESampler(seed=seed),
    "nsgaii": lambda _, seed: NSGAIISampler(population_size=_POPULATION, seed=seed),
    "random": lambda _, seed: RandomSampler(seed=seed),
    "gp": lambda _, seed: GPSampler(seed=seed),
}

SAMPLERS = tuple(_MAKERS)
"""Names of the samplers: the memory-aware one, then Optuna's."""


def make_sampler(name: str, space: QuantizationSpace, seed: int) -> BaseSampler:
    """Make the sampler with one of the names in ``SAMPLERS``.

    Args:
        name: Which sampler. "tpe" models all dimensions together, "tpe-univariate" each dimension by itself.
        space: What is searched; Optuna's samplers learn it from the trials.
        seed: Of the sampler's draws.

    Raises:
        ValueError: If there is no sampler of that name.
    """
    if name not in _MAKERS:
        raise ValueError(f"name must be one of {list(SAMPLERS)}, got {name!r}.")
    return _MAKERS[name](space, seed)
