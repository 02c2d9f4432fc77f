"""What is compared: samplers by name, one of them with a pruner too, and rivals that know memory."""

from __future__ import annotations

from importlib.util import find_spec

from optuna.samplers import BaseSampler

from qspinn_optuna import FrontPruner, QuantizationSpace
from qspinn_optuna.sampler.by_name import make_sampler
from searching.fitted_to_all import FittedToAllSampler
from searching.problems import Problem
from searching.rivals.engineer import engineer, greedy
from searching.rivals.integer_programme import integer_programme
from searching.rivals.proposals import ProposedSampler, Rival
from searching.rivals.significance_first import significance_first
from searching.told import ToldSampler

CONFIDENCE = 0.95
"""Of the pruner."""

_PRUNED = "memory-aware-pruned"

_GP_KNOWN = "gp-known"

_BY_HAND: dict[str, Rival] = {
    "engineer": engineer,
    "greedy": greedy,
    "significance-first": significance_first,
    "integer-programme": integer_programme,
}

CONTESTANTS = (
    *("gp", _GP_KNOWN, _PRUNED, "memory-aware", "tpe-univariate", "tpe"),
    *("integer-programme", "significance-first", "engineer", "greedy", "nsgaii", "random"),
)
"""Slow ones first: processes that share the runs then end at about the same time."""

_FITTED_TO_ALL = "memory-aware-fitted-to-all"

_TOLD = "memory-aware-told"

VARIANTS = (_FITTED_TO_ALL, _TOLD)
"""Those that are run only if they are asked for."""

PROPOSED = ("memory-aware", _PRUNED, *VARIANTS)
"""Those that are the project's own."""

BUILT_IN = ("gp", "tpe-univariate", "tpe", "nsgaii", "random")
"""Optuna's."""


def can_run(name: str) -> bool:
    """Whether what a contestant needs is installed: BoTorch, of the extra ``benchmarks``."""
    return name != _GP_KNOWN or find_spec("botorch") is not None


def make_contestant(
    name: str, space: QuantizationSpace, seed: int, problem: Problem | None = None
) -> tuple[BaseSampler, FrontPruner | None]:
    """The sampler and the pruner with one of the names in ``CONTESTANTS`` and ``VARIANTS``.

    Args:
        name: The name.
        space: What is searched.
        seed: Of the sampler.
        problem: Whose space it is; needed by what is told of it.
    """
    if name == _TOLD:
        assert problem is not None
        return ToldSampler(space, problem.truth, problem.chance, seed), None
    if name == _FITTED_TO_ALL:
        return FittedToAllSampler(space, seed=seed), None
    if name == _PRUNED:
        return make_sampler("memory-aware", space, seed), FrontPruner(CONFIDENCE)
    if name == _GP_KNOWN:
        # BoTorch takes seconds to import, and is not everybody's.
        from searching.rivals.gaussian_process import gaussian_process  # noqa: PLC0415

        return ProposedSampler(gaussian_process, space, seed), None
    if name in _BY_HAND:
        return ProposedSampler(_BY_HAND[name], space, seed), None
    return make_sampler(name, space, seed), None
