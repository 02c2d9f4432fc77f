"""What is searched for a network of events, and the trials that a study begins with."""

from __future__ import annotations

from typing import Any

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import GridKind, Rounding
from qspinn_optuna.parameters import Family
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.workloads.supervised.workload import SupervisedWorkload

_WIDTHS = {
    Family.WEIGHT: (2, 8),
    Family.MEMBRANE: (1, 8),
    Family.TRACE: (2, 8),
    Family.THRESHOLD: (2, 8),
    Family.DECAY: (2, 8),
    Family.SCALE: (2, 8),
    Family.INPUT: (2, 8),
}
"""First and last width of each family, as far as its ``max_bits`` goes."""

_TIED = (Family.THRESHOLD, Family.DECAY)
"""Families of which all parameters have the same width."""

_FIRST_WIDTHS = ((8, 8), (4, 4), (3, 2), (2, 2), (2, 1))
"""Widths of weights and states that a study begins with, in training and after it."""

_NARROWEST = (1, 1)
"""The same, where weights of one bit are searched."""

_COEFFICIENT_BITS = 6
"""Width of thresholds and decays in the first trials."""

_SCALE_BITS = 8
"""Width of scales in the first trials."""


def search_space(workload: SupervisedWorkload) -> QuantizationSpace:
    """The search space: widths of each layer's weights and states, one for all thresholds, one for all decays."""
    # One bit with a scale and a sign is a weight; without, it is -1 or 0.
    first = {parameter.name: 1 for parameter in workload.parameters if GridKind.MID_RISE in parameter.grids}
    ties = {parameter.name: parameter.family.value for parameter in workload.parameters if parameter.family in _TIED}
    widths = {
        parameter.name: (
            first.get(parameter.name, _WIDTHS[parameter.family][0]),
            min(_WIDTHS[parameter.family][1], parameter.max_bits),
        )
        for parameter in workload.parameters
        if parameter.fixed_bits is None
    }
    return QuantizationSpace(workload.parameters, widths, ties=ties)


def first_trials(space: QuantizationSpace) -> list[dict[str, Any]]:
    """Parameters of the trials that a study begins with: uniform widths, which show what each scheme can bear."""
    return [
        uniform_params(space, weight_bits, state_bits, scheme)
        for weight_bits, state_bits in (*_FIRST_WIDTHS, *([_NARROWEST] if _has_one_bit_weights(space) else []))
        for scheme in space.schemes
    ]


def uniform_params(space: QuantizationSpace, weight_bits: int, state_bits: int, scheme: Scheme) -> dict[str, Any]:
    """Parameters of a trial with one width for all weights, one for all states, and those of coefficients and scales.

    A parameter that is not searched at the width has the width nearest to it. Rounding is to nearest.
    """

    def uniform(width: int) -> QuantizationConfig:
        return space.uniform(width, scheme, Rounding.NEAREST)

    of_family = {
        Family.WEIGHT: uniform(weight_bits),
        Family.MEMBRANE: uniform(state_bits),
        Family.TRACE: uniform(state_bits),
        Family.SCALE: uniform(_SCALE_BITS),
    }
    coefficients = uniform(_COEFFICIENT_BITS)
    quantizations = {
        parameter.name: of_family.get(parameter.family, coefficients).parameters[parameter.name]
        for parameter in space.searched
    }
    return space.params(QuantizationConfig(scheme, quantizations))


def _has_one_bit_weights(space: QuantizationSpace) -> bool:
    return any(GridKind.MID_RISE in parameter.grids for parameter in space.searched)
