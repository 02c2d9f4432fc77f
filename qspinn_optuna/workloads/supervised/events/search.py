"""What is searched for a network of events, and the trials that a study begins with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import GridKind, Rounding
from qspinn_optuna.parameters import Family, ParameterSpec
from qspinn_optuna.space import QuantizationSpace, width_name
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

_NARROWED = (Family.WEIGHT, Family.MEMBRANE, Family.TRACE)
"""Families whose parameters can be large."""

_FIRST_WIDTHS = ((8, 8), (4, 4), (3, 2), (2, 2), (2, 1))
"""Widths of weights and states that a study begins with, in training and after it."""

_NARROW_WIDTHS = {
    Family.WEIGHT: (1, 4),
    Family.MEMBRANE: (1, 4),
    Family.TRACE: (2, 4),
    Family.THRESHOLD: (4, 8),
    Family.DECAY: (4, 8),
    Family.SCALE: (4, 8),
}
"""The same where weights have scales, with which they bear one bit: so small are no models of wider weights."""

_SMALL = 0.02
"""Part of all values that small parameters are together, which begin wide: they cost next to no memory."""

_COEFFICIENT_BITS = 6
"""Width of thresholds and decays in the first trials."""

_SCALE_BITS = 8
"""Width of scales in the first trials."""


def search_space(workload: SupervisedWorkload) -> QuantizationSpace:
    """The search space: widths of each layer's weights and states, one for all thresholds, one for all decays.

    Weights with scales are searched from one bit on, with in-training quantization, which alone bears it.
    """
    narrow = have_one_bit_weights(workload.parameters)
    known = _WIDTHS | _NARROW_WIDTHS if narrow else _WIDTHS
    ties = {parameter.name: parameter.family.value for parameter in workload.parameters if parameter.family in _TIED}
    widths = {
        parameter.name: (known[parameter.family][0], min(known[parameter.family][1], parameter.max_bits))
        for parameter in workload.parameters
        if parameter.fixed_bits is None
    }
    schemes = [Scheme.ITQ] if narrow else list(Scheme)
    return QuantizationSpace(workload.parameters, widths, schemes=schemes, ties=ties)


def have_one_bit_weights(parameters: Iterable[ParameterSpec]) -> bool:
    """Whether one bit is a weight, -1/2 or +1/2 times a scale: without a mid-rise grid, it is -1 or 0."""
    return any(GridKind.MID_RISE in parameter.grids for parameter in parameters)


def first_trials(space: QuantizationSpace) -> list[dict[str, Any]]:
    """Parameters of the trials that a study begins with.

    They are uniform widths, which show what each scheme can bear. Where one bit is searched they are models of weights
    of one bit, and of states of one and two, with small parameters left wide, and without, and two models of two bits,
    one of them with one bit in the largest layer.
    """
    if have_one_bit_weights(space.searched):
        return [
            narrow_params(space, 1, 1, wide=_SMALL),
            narrow_params(space, 1, 1),
            narrow_params(space, 1, 2, wide=_SMALL),
            narrow_params(space, 2, 2, wide=_SMALL),
            narrow_params(space, 2, 2, wide=_SMALL, largest_bits=1),
        ]
    return [
        uniform_params(space, weight_bits, state_bits, scheme)
        for weight_bits, state_bits in _FIRST_WIDTHS
        for scheme in space.schemes
    ]


def narrow_params(
    space: QuantizationSpace, weight_bits: int, state_bits: int, *, wide: float = 0.0, largest_bits: int | None = None
) -> dict[str, Any]:
    """Parameters of a trial of in-training quantization with narrow weights.

    Args:
        space: The search space.
        weight_bits: Width of the weights.
        state_bits: Width of the states.
        wide: Part of all values up to which the smallest weights and states are as wide as the space has them.
        largest_bits: Width of the weights of the layer that has most; that of the others if not given.
    """
    params = uniform_params(space, weight_bits, state_bits, Scheme.ITQ)
    if largest_bits is not None:
        weights = [parameter for parameter in space.searched if parameter.family is Family.WEIGHT]
        params[width_name(max(weights, key=lambda one: one.count).name)] = largest_bits
    left = wide * sum(parameter.count for parameter in space.searched)
    for parameter in sorted(space.searched, key=lambda one: one.count):
        left -= parameter.count
        if left < 0:
            break
        if parameter.family in _NARROWED:
            params[width_name(parameter.name)] = space.widths[parameter.name][1]
    return params


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
