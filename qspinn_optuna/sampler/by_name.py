"""Samplers by the names that the command line gives them."""

from __future__ import annotations

from collections.abc import Callable

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from qspinn_optuna.sampler.memory_aware import MemoryAwareSampler
from qspinn_optuna.sampler.repeatable import RepeatableSampler
from qspinn_optuna.space import QuantizationSpace

_POPULATION = 20
"""Individuals of a generation of NSGA-II: with Optuna's 50, a study of 100 trials would be two generations."""

OWN = "memory-aware"
"""Name of the project's own."""

_OPTUNAS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(multivariate=True, seed=seed),
    "tpe-univariate": lambda seed: TPESampler(seed=seed),
    "nsgaii": lambda seed: NSGAIISampler(population_size=_POPULATION, seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed),
}

SAMPLERS = (OWN, *_OPTUNAS)
"""Names of the samplers: the memory-aware one, then Optuna's."""


def make_sampler(name: str, space: QuantizationSpace, seed: int) -> BaseSampler:
    """Make the sampler with one of the names in ``SAMPLERS``.

    What it suggests follows from the seed and the study: a study may be stopped and continued.

    Args:
        name: Which sampler. "tpe" models all dimensions together, "tpe-univariate" each dimension by itself.
        space: What is searched; Optuna's samplers learn it from the trials.
        seed: Of the sampler's draws.

    Raises:
        ValueError: If there is no sampler of that name.
    """
    if name not in SAMPLERS:
        raise ValueError(f"name must be one of {list(SAMPLERS)}, got {name!r}.")
    return MemoryAwareSampler(space, seed=seed) if name == OWN else RepeatableSampler(_OPTUNAS[name], seed)
