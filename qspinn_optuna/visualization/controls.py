"""Trials that a search should beat: uniform widths, and narrow weights alone."""

from __future__ import annotations

import optuna
from optuna.distributions import IntDistribution

from qspinn_optuna.parameters import Family
from qspinn_optuna.space import is_width
from qspinn_optuna.study import TrialRecord, space_of


def is_uniform_width(record: TrialRecord) -> bool:
    """Whether all widths are the same, or the nearest end of their range, as in ``space.uniform``."""
    ranges = _width_ranges(record)
    widths = {name: record.params[name] for name in ranges}
    return bool(widths) and any(
        all(widths[name] == min(max(common, low), high) for name, (low, high) in ranges.items())
        for common in set(widths.values())
    )


def is_weight_only(record: TrialRecord, weight_dimensions: set[str]) -> bool:
    """Whether all widths except those of weights are the widest of the space.

    Args:
        record: The record of the trial.
        weight_dimensions: Names of the dimensions that are widths of weights.
    """
    return bool(weight_dimensions) and all(
        record.params[name] == high
        for name, (_, high) in _width_ranges(record).items()
        if name not in weight_dimensions
    )


def weight_dimensions(study: optuna.Study) -> set[str]:
    """Dimensions that are widths of weights only; empty if the study stores no space."""
    space = space_of(study)
    families: dict[str, set[str]] = {}
    for parameter in (space or {}).get("parameters", {}).values():
        dimension = parameter["dimensions"][0]
        if dimension is not None:
            families.setdefault(dimension, set()).add(parameter["family"])
    return {dimension for dimension, members in families.items() if members == {Family.WEIGHT.value}}


def _width_ranges(record: TrialRecord) -> dict[str, tuple[int, int]]:
    return {
        name: (distribution.low, distribution.high)
        for name, distribution in record.distributions.items()
        if is_width(name) and isinstance(distribution, IntDistribution)
    }
