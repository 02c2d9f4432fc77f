"""Shifts that bring the parts of an operation to one grid, and the bits that are dropped of what it rounds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import ParameterQuantization
from qspinn_optuna.fixed_point.integer_rounding import MAX_DROP, NEAREST, ROUNDING_NUMBERS, CodeRounding
from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.operations import Affine, IntegrateAndFire, Requantization

AFFINE_BITS = 24
"""Width of the accumulator of :class:`~.operations.Affine`."""


class TermAlignment(NamedTuple):
    """Two terms of a sum: ``(one << one_shift) + (other << other_shift)`` has ``fraction_bits``."""

    one_shift: int
    other_shift: int
    fraction_bits: int


class NeuronAlignment(NamedTuple):
    """What neurons compute with.

    With d the code of a decay, or of 1 without one, and r that of the reset potential::

        u = (d * v << decay_shift) + ((one - d) * r << decay_shift) + (x << input_shift)
        s = (u << compare_shift) >= (threshold << threshold_shift)

    where x is multiplied by ``one - d`` first if it decays too. Without ``reset``, the threshold is taken from u as
    ``threshold << threshold_shift``, and ``compare_shift`` is 0. ``rounding`` brings u back to a code.
    """

    one: int
    decay_shift: int
    input_shift: int
    compare_shift: int
    threshold_shift: int
    charged_fraction_bits: int
    rounding: CodeRounding


class AffineAlignment(NamedTuple):
    """``(scale * x << product_shift) + (offset << offset_shift)`` has ``fraction_bits``; ``rounding`` follows."""

    product_shift: int
    offset_shift: int
    fraction_bits: int
    rounding: CodeRounding


class RequantizationAlignment(NamedTuple):
    """``even_drop`` bits are dropped, ties to even, then ``x << shift`` is rounded by ``rounding``."""

    even_drop: int
    shift: int
    fraction_bits: int
    rounding: CodeRounding


def terms(one: int, other: int | None) -> TermAlignment:
    """Alignment of terms with these fraction bits, on the finer of their grids; the other may be missing."""
    finest = one if other is None else max(one, other)
    return TermAlignment(finest - one, 0 if other is None else finest - other, finest)


def of_neurons(neurons: IntegrateAndFire, source: int, *, decay: int | None, threshold: int | None) -> NeuronAlignment:
    """The alignment of neurons, from the fraction bits of the source, the decay and the threshold.

    Raises:
        ValueError: If a decay has no digits before its binary point, or too many bits would be dropped.
    """
    scaled = 0 if decay is None else decay
    if scaled < 0:
        raise ValueError(f"decay of {neurons.name!r} must have at least 0 fraction bits, got {scaled}.")
    membrane = neurons.membrane.format.fraction_bits
    decayed, driven = membrane + scaled, source + (scaled if neurons.decays_input else 0)
    charged = max(decayed, driven)
    if threshold is not None and neurons.reset is None:
        charged = max(charged, threshold)
    compared = charged if threshold is None else max(charged, threshold)
    return NeuronAlignment(
        one=1 << scaled,
        decay_shift=charged - decayed,
        input_shift=charged - driven,
        compare_shift=compared - charged,
        threshold_shift=0 if threshold is None else compared - threshold,
        charged_fraction_bits=charged,
        rounding=_rounding(neurons.name, charged, neurons.membrane),
    )


class Factors(NamedTuple):
    """Factors of an affine step as integers: ``array * 2**-fraction_bits``."""

    array: NDArray[np.int64]
    fraction_bits: int


def factors_of(affine: Affine, scale: Codes) -> Factors:
    """The factors of an affine step; those of shifts in units of the smallest.

    Raises:
        ValueError: If exponents are no whole numbers, or too far apart.
    """
    codes = scale.array.astype(np.int64)
    if not affine.shifts:
        return Factors(codes, scale.format.fraction_bits)
    least = int(codes.min())
    if scale.format.fraction_bits != 0:
        raise ValueError(f"scale of {affine.name!r} must hold whole exponents, got the format {scale.format}.")
    if int(codes.max()) - least > MAX_DROP:
        raise ValueError(f"scale of {affine.name!r} must hold exponents of at most {MAX_DROP} bits from end to end.")
    return Factors(np.left_shift(np.int64(1), codes - least), -least)


def of_affine(affine: Affine, source: int, *, scale: int, offset: int | None) -> AffineAlignment:
    """The alignment of an affine step, from the fraction bits of what it reads.

    Raises:
        ValueError: If too many bits would be dropped.
    """
    offset = source + scale if offset is None else offset
    finest = max(source + scale, offset, affine.fraction_bits)
    limit = 1 << AFFINE_BITS - 1
    drop = _checked_drop(affine.name, finest - affine.fraction_bits)
    return AffineAlignment(
        finest - source - scale, finest - offset, finest, CodeRounding(drop, NEAREST, -limit, limit - 1)
    )


def of_requantization(requantization: Requantization, source: int) -> RequantizationAlignment:
    """The alignment of a change of format, from the fraction bits of the source.

    Raises:
        ValueError: If too many bits would be dropped.
    """
    target = requantization.to.format.fraction_bits
    even_drop = 0 if requantization.finer_bits is None else max(source - target - requantization.finer_bits, 0)
    _checked_drop(requantization.name, even_drop)
    kept = source - even_drop
    finest = max(kept, target)
    rounding = _rounding(requantization.name, finest, requantization.to)
    return RequantizationAlignment(even_drop, finest - kept, finest, rounding)


def _rounding(name: str, fraction_bits: int, to: ParameterQuantization) -> CodeRounding:
    """How codes with these fraction bits are stored."""
    fmt = to.format
    drop = _checked_drop(name, fraction_bits - fmt.fraction_bits)
    return CodeRounding(drop, ROUNDING_NUMBERS[to.rounding], fmt.min_code, fmt.max_code)


def _checked_drop(name: str, drop: int) -> int:
    if drop > MAX_DROP:
        raise ValueError(f"{name!r} must drop at most {MAX_DROP} bits, got {drop}: give what it reads fewer bits.")
    return drop
