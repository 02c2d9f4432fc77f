"""Parameters that belong to no module: the input of a network, and the factors of its averages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import nn

from qspinn_optuna.networks.entry.contributions import OUTPUT
from qspinn_optuna.networks.entry.inputs import INPUT
from qspinn_optuna.networks.entry.reciprocals import is_reciprocal, reciprocal_counts, reciprocal_name
from qspinn_optuna.networks.modules.support import SYNAPSES
from qspinn_optuna.parameters import Family, ParameterSpec

RECIPROCAL_BITS = 8
"""Widest factor 1 / k: its products with sums are the inputs of synapses."""


class EntryParameters(NamedTuple):
    """Parameters that belong to no module.

    Attributes:
        needed: The input, and factors whose products are multiplied by weights: never exact without.
        optional: Factors whose products only neurons take, which round what they store, and an input that reaches
            nothing as far as is known: a network may compare it with thresholds.
    """

    needed: tuple[ParameterSpec, ...]
    optional: tuple[ParameterSpec, ...]


def entry_parameters(
    network: nn.Module, contributions: Mapping[str, frozenset[str]], input_spec: ParameterSpec | None
) -> EntryParameters:
    """The input, if it is on no grid, and a factor for every number of values that are averaged.

    What reaches nothing but the output stays as it is: it only scales the scores.

    Args:
        network: A supported network.
        contributions: Of the network.
        input_spec: Of the input, unless it is on a grid.
    """
    synapses = {name for name, module in network.named_modules() if isinstance(module, SYNAPSES)}
    reached = {name for module, names in contributions.items() if module != OUTPUT for name in names}
    multiplied = {name for module, names in contributions.items() if module in synapses for name in names}
    specs = [] if input_spec is None else [input_spec]
    specs += [
        ParameterSpec(reciprocal_name(count), Family.SCALE, 1, 0.0, 1 / count, max_bits=RECIPROCAL_BITS)
        for count in sorted(reciprocal_counts(name for name in reached if is_reciprocal(name)))
    ]
    needed = multiplied | (reached & {INPUT})
    return EntryParameters(
        tuple(spec for spec in specs if spec.name in needed),
        tuple(spec for spec in specs if spec.name not in needed),
    )
