"""What is compared: samplers by name, one of them with a pruner too."""

from __future__ import annotations

from optuna.samplers import BaseSampler

from qspinn_optuna import FrontPruner, QuantizationSpace
from qspinn_optuna.sampler.by_name import make_sampler
from searching.fitted_to_all import FittedToAllSampler

CONFIDENCE = 0.95
"""Of the pruner."""

_PRUNED = "memory-aware-pruned"

CONTESTANTS = ("gp", _PRUNED, "memory-aware", "tpe-univariate", "tpe", "nsgaii", "random")
"""Slow ones first: processes that share the runs then end at about the same time."""

_FITTED_TO_ALL = "memory-aware-fitted-to-all"

VARIANTS = (_FITTED_TO_ALL,)
"""Those that are run only if they are asked for."""

PROPOSED = ("memory-aware", _PRUNED, *VARIANTS)
"""Those that are the project's own."""


def make_contestant(name: str, space: QuantizationSpace, seed: int) -> tuple[BaseSampler, FrontPruner | None]:
    """The sampler and the pruner with one of the names in ``CONTESTANTS`` and ``VARIANTS``."""
    if name == _FITTED_TO_ALL:
        return FittedToAllSampler(space, seed=seed), None
    if name == _PRUNED:
        return make_sampler("memory-aware", space, seed), FrontPruner(CONFIDENCE)
    return make_sampler(name, space, seed), None
