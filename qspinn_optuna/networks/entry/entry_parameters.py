"""Parameters that belong to no module: the input of a network, and the factors of its averages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from qspinn_optuna.networks.entry.contributions import OUTPUT
from qspinn_optuna.networks.entry.reciprocals import is_reciprocal, reciprocal_counts, reciprocal_name
from qspinn_optuna.parameters import Family, ParameterSpec

RECIPROCAL_BITS = 8
"""Widest factor 1 / k: its products with sums are the inputs of synapses and neurons."""


class EntryParameters(NamedTuple):
    """Parameters that belong to no module.

    Attributes:
        needed: The input, and factors whose products layers or neurons take.
        optional: An input that reaches nothing as far as is known: a network may compare it with thresholds.
    """

    needed: tuple[ParameterSpec, ...]
    optional: tuple[ParameterSpec, ...]


def entry_parameters(contributions: Mapping[str, frozenset[str]], input_spec: ParameterSpec | None) -> EntryParameters:
    """The input, if it is on no grid, and a factor for every number of values that are averaged.

    What reaches nothing but the output stays as it is: it only scales the scores.

    Args:
        contributions: Of a supported network.
        input_spec: Of the input, unless it is on a grid.
    """
    reached = {name for module, names in contributions.items() if module != OUTPUT for name in names}
    specs = [] if input_spec is None else [input_spec]
    specs += [
        ParameterSpec(reciprocal_name(count), Family.SCALE, 1, 0.0, 1 / count, max_bits=RECIPROCAL_BITS)
        for count in sorted(reciprocal_counts(name for name in reached if is_reciprocal(name)))
    ]
    return EntryParameters(
        tuple(spec for spec in specs if spec.name in reached),
        tuple(spec for spec in specs if spec.name not in reached),
    )
