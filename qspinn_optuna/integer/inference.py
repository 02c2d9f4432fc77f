"""Shapes, grids and ranges of the results of operations, from those of what they read: interval arithmetic.

Weights are known, so each output of a layer is bounded by its own weights. A sum may be formed in any order: whatever
is added up on the way lies within the width that is found, since terms are taken to be absent as well. So does what is
multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point.integer_rounding import CodeRounding
from qspinn_optuna.integer import alignment
from qspinn_optuna.integer.accumulators import Interval, hull, range_of
from qspinn_optuna.integer.arrays import Accumulator, Array, Purpose, accumulator_of, array_of
from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.operations import (
    Affine,
    Concatenation,
    Convolution,
    Delay,
    IntegrateAndFire,
    Linear,
    Offset,
    Operation,
    Permutation,
    Pool,
    PoolKind,
    PowerOfTwo,
    Requantization,
    Reshape,
    Scale,
    Sum,
)

Constants = Mapping[str, Codes]

_SPIKE = Interval(0, 1)


class Inferred(NamedTuple):
    """What is known of an operation.

    Args:
        arrays: Its results: one, or spikes and membranes.
        accumulators: What it computes on the way.
    """

    arrays: tuple[Array, ...]
    accumulators: tuple[Accumulator, ...] = ()


@singledispatch
def infer(operation: Operation, sources: Sequence[Array], constants: Constants) -> Inferred:
    """What is known of the results of an operation.

    Args:
        operation: The operation.
        sources: What is known of the arrays that it reads.
        constants: The constants of the network, by name.

    Raises:
        TypeError: If the operation is of another kind.
        ValueError: If shapes do not fit, or no accumulator is wide enough.
    """
    raise TypeError(f"operations must be of the kinds of this package, got {type(operation).__name__}.")


@infer.register
def _linear(operation: Linear, sources: Sequence[Array], constants: Constants) -> Inferred:
    (source,) = sources
    weight = _constant(operation, "weight", constants[operation.weight], 2)
    outputs, inputs = weight.shape
    if not source.shape or source.shape[-1] != inputs:
        raise _misfit(operation, f"have {inputs} values in its last dimension", source)
    return _weighted(operation, (*source.shape[:-1], outputs), source, constants)


@infer.register
def _convolution(operation: Convolution, sources: Sequence[Array], constants: Constants) -> Inferred:
    (source,) = sources
    filters, seen, *kernel = _constant(operation, "weight", constants[operation.weight], 4).shape
    groups = operation.groups
    if len(source.shape) != 3 or source.shape[0] != groups * seen:
        raise _misfit(operation, f"have the shape [{groups * seen}, height, width]", source)
    if filters % groups:
        raise ValueError(f"groups of {operation.name!r} must divide {filters} filters, got {groups}.")
    padded = [size + 2 * added for size, added in zip(source.shape[1:], operation.padding, strict=True)]
    windows = [distance * (size - 1) + 1 for distance, size in zip(operation.dilation, kernel, strict=True)]
    if windows[0] > padded[0] or windows[1] > padded[1]:
        raise _misfit(operation, f"be at least as large, padded, as its windows of {windows}", source)
    size = [(whole - window) // step + 1 for whole, window, step in zip(padded, windows, operation.stride, strict=True)]
    return _weighted(operation, (filters, size[0], size[1]), source, constants)


def _weighted(operation: Linear | Convolution, shape: tuple[int, ...], source: Array, constants: Constants) -> Inferred:
    """Sums of products, with a bias. The first dimension of the weights is that of the outputs."""
    weight = constants[operation.weight]
    rows = weight.array.reshape(len(weight.array), -1).astype(np.int64)
    positive, negative = (_exact(part.sum(axis=1)) for part in (np.maximum(rows, 0), np.minimum(rows, 0)))
    x = _or_zero(source.interval)
    low, high = positive * x.low + negative * x.high, positive * x.high + negative * x.low
    bias = None if operation.bias is None else constants[operation.bias]
    if bias is not None and bias.shape != (len(rows),):
        raise ValueError(f"bias of {operation.name!r} must have the shape ({len(rows)},), got {bias.shape}.")
    products = source.fraction_bits + weight.format.fraction_bits
    aligned = alignment.terms(products, None if bias is None else bias.format.fraction_bits)
    sums = Interval(low.min(), high.max()) << aligned.one_shift
    multiplied = range_of(weight.array), source.interval
    if bias is None:
        return Inferred((array_of(operation.name, shape, aligned.fraction_bits, sums, *multiplied),))
    added = _exact(bias.array) * (1 << aligned.other_shift)
    factor = 1 << aligned.one_shift
    total = Interval((low * factor + added).min(), (high * factor + added).max())
    passed = sums, range_of(bias.array) << aligned.other_shift, *multiplied
    return Inferred((array_of(operation.name, shape, aligned.fraction_bits, total, *passed),))


@infer.register
def _pool(operation: Pool, sources: Sequence[Array], constants: Constants) -> Inferred:
    (source,) = sources
    if len(source.shape) != 3:
        raise _misfit(operation, "have the shape [channels, height, width]", source)
    for size, kernel, stride, padding, whole in zip(
        operation.size, operation.kernel, operation.stride, operation.padding, source.shape[1:], strict=True
    ):
        if padding >= kernel or (size - 1) * stride - padding >= whole:
            raise ValueError(
                f"every window of {operation.name!r} must hold a value of its source {source.shape}, got size "
                f"{operation.size}, kernel {operation.kernel}, stride {operation.stride}, padding {operation.padding}."
            )
    shape = (source.shape[0], *operation.size)
    codes = source.interval
    if operation.kind is PoolKind.SUM:
        codes = _or_zero(codes).times(Interval(1, operation.kernel[0] * operation.kernel[1]))
    return Inferred((array_of(operation.name, shape, source.fraction_bits, codes),))


@infer.register
def _sum(operation: Sum, sources: Sequence[Array], constants: Constants) -> Inferred:
    for source in sources[1:]:
        if source.shape != sources[0].shape:
            raise _misfit(operation, f"have the shape {sources[0].shape}, as the first", source)
    finest = max(source.fraction_bits for source in sources)
    terms = [
        (source.interval if sign > 0 else -source.interval) << finest - source.fraction_bits
        for source, sign in zip(sources, operation.signs, strict=True)
    ]
    return Inferred((array_of(operation.name, sources[0].shape, finest, _total(terms), *_on_the_way(terms)),))


@infer.register
def _offset(operation: Offset, sources: Sequence[Array], constants: Constants) -> Inferred:
    (source,) = sources
    offset = constants[operation.offset]
    _check_broadcast(operation, "offset", offset, source.shape)
    aligned = alignment.terms(source.fraction_bits, offset.format.fraction_bits)
    terms = [source.interval << aligned.one_shift, range_of(offset.array) << aligned.other_shift]
    result = array_of(operation.name, source.shape, aligned.fraction_bits, _total(terms), *_on_the_way(terms))
    return Inferred((result,))


@infer.register
def _scale(operation: Scale, sources: Sequence[Array], constants: Constants) -> Inferred:
    (source,) = sources
    factor = constants[operation.factor]
    _check_broadcast(operation, "factor", factor, source.shape)
    factors = range_of(factor.array)
    fraction_bits = source.fraction_bits + factor.format.fraction_bits
    codes = source.interval.times(factors)
    return Inferred((array_of(operation.name, source.shape, fraction_bits, codes, source.interval, factors),))


@infer.register
def _power_of_two(operation: PowerOfTwo, sources: Sequence[Array], constants: Constants) -> Inferred:
    (source,) = sources
    return _same_codes(operation, source, source.shape, source.fraction_bits - operation.exponent)


@infer.register
def _affine(operation: Affine, sources: Sequence[Array], constants: Constants) -> Inferred:
    (source,) = sources
    scale = _constant(operation, "scale", constants[operation.scale], 2)
    offset = None if operation.offset is None else _constant(operation, "offset", constants[operation.offset], 2)
    if operation.axis >= len(source.shape):
        raise _misfit(operation, f"have dimension {operation.axis}, that of the channels", source)
    channels = source.shape[operation.axis]
    for name, codes in (("scale", scale), ("offset", offset)):
        if codes is not None and codes.shape[1] != channels:
            raise ValueError(f"{name} of {operation.name!r} must have {channels} channels, got shape {codes.shape}.")
    if offset is not None and len({len(scale.array), len(offset.array)} - {1}) > 1:
        raise ValueError(
            f"scale and offset of {operation.name!r} must have rows for the same steps, got {scale.shape} and "
            f"{offset.shape}."
        )
    factors = alignment.factors_of(operation, scale)
    aligned = alignment.of_affine(
        operation,
        source.fraction_bits,
        scale=factors.fraction_bits,
        offset=None if offset is None else offset.format.fraction_bits,
    )
    added = 0 if offset is None else _exact(offset.array) * (1 << aligned.offset_shift)
    ends = [_exact(factors.array) * end * (1 << aligned.product_shift) for end in source.interval]
    products = Interval(min(end.min() for end in ends), max(end.max() for end in ends))
    totals = [end + added for end in ends]
    total = Interval(min(end.min() for end in totals), max(end.max() for end in totals))
    multiplied = range_of(factors.array), source.interval
    terms = [products] if offset is None else [products, range_of(offset.array) << aligned.offset_shift]
    rounded = hull([*multiplied, *terms, total, _raised(total, aligned.rounding)])
    return Inferred(
        (array_of(operation.name, source.shape, operation.fraction_bits, _stored(total, aligned.rounding)),),
        (accumulator_of(operation.name, Purpose.ROUNDED, aligned.fraction_bits, rounded),),
    )


@infer.register
def _requantization(operation: Requantization, sources: Sequence[Array], constants: Constants) -> Inferred:
    (source,) = sources
    aligned = alignment.of_requantization(operation, source.fraction_bits)
    evened = _even(source.interval, aligned.even_drop)
    passed = [source.interval, Interval(source.low, source.high + _half(aligned.even_drop)), evened << aligned.shift]
    rounded = hull([*passed, _raised(evened << aligned.shift, aligned.rounding)])
    stored = _stored(evened << aligned.shift, aligned.rounding)
    return Inferred(
        (array_of(operation.name, source.shape, operation.to.format.fraction_bits, stored),),
        (accumulator_of(operation.name, Purpose.ROUNDED, aligned.fraction_bits, rounded),),
    )


@infer.register
def _reshape(operation: Reshape, sources: Sequence[Array], constants: Constants) -> Inferred:
    (source,) = sources
    elements = int(np.prod(operation.shape, dtype=object))
    if source.elements != elements:
        raise _misfit(operation, f"have the {elements} values of {operation.shape}", source)
    return _same_codes(operation, source, operation.shape, source.fraction_bits)


@infer.register
def _permutation(operation: Permutation, sources: Sequence[Array], constants: Constants) -> Inferred:
    (source,) = sources
    if len(source.shape) != len(operation.order):
        raise _misfit(operation, f"have {len(operation.order)} dimensions", source)
    return _same_codes(operation, source, tuple(source.shape[old] for old in operation.order), source.fraction_bits)


@infer.register
def _concatenation(operation: Concatenation, sources: Sequence[Array], constants: Constants) -> Inferred:
    axis, first = operation.axis, sources[0].shape
    for source in sources:
        same = len(source.shape) == len(first) and all(
            size == other for k, (size, other) in enumerate(zip(source.shape, first, strict=True)) if k != axis
        )
        if axis >= len(first) or not same:
            raise _misfit(operation, f"have the shape {first} but in dimension {axis}", source)
    finest = max(source.fraction_bits for source in sources)
    codes = hull(source.interval << finest - source.fraction_bits for source in sources)
    shape = (*first[:axis], sum(source.shape[axis] for source in sources), *first[axis + 1 :])
    return Inferred((array_of(operation.name, shape, finest, codes),))


@infer.register
def _delay(operation: Delay, sources: Sequence[Array], constants: Constants) -> Inferred:
    # The source may not be known yet, see check_delay.
    fmt = operation.format
    codes = Interval(fmt.min_code, fmt.max_code)
    return Inferred((array_of(operation.name, operation.shape, fmt.fraction_bits, codes),))


def check_delay(operation: Delay, source: Array) -> None:
    """Refuse a delayed array that cannot hold what it delays.

    Raises:
        ValueError: If the shapes differ, or the format does not hold a value of the source.
    """
    if source.shape != operation.shape:
        raise _misfit(operation, f"have the shape {operation.shape}", source)
    fmt = operation.format
    shift = fmt.fraction_bits - source.fraction_bits
    if shift < 0 or source.low << shift < fmt.min_code or source.high << shift > fmt.max_code:
        raise ValueError(
            f"format of {operation.name!r} must hold what it delays, codes {source.low} to {source.high} with "
            f"{source.fraction_bits} fraction bits, got {fmt}."
        )


@infer.register
def _integrate_and_fire(operation: IntegrateAndFire, sources: Sequence[Array], constants: Constants) -> Inferred:
    (source,) = sources
    decay, threshold = (None if name is None else constants[name] for name in (operation.decay, operation.threshold))
    for argument, codes in (("decay", decay), ("threshold", threshold)):
        if codes is not None:
            _check_broadcast(operation, argument, codes, source.shape)
    aligned = alignment.of_neurons(
        operation,
        source.fraction_bits,
        decay=None if decay is None else decay.format.fraction_bits,
        threshold=None if threshold is None else threshold.format.fraction_bits,
    )
    fmt = operation.membrane.format
    spikes = array_of(operation.name, source.shape, 0, _SPIKE)
    membranes = array_of(operation.membrane_name, source.shape, fmt.fraction_bits, Interval(fmt.min_code, fmt.max_code))
    charges = _charges(operation, source, decay, aligned)
    charged = hull(_total(charge.terms) for charge in charges)
    passed = [interval for charge in charges for interval in (*charge.multiplied, *_on_the_way(charge.terms))]
    kept, accumulators = charged, []
    if threshold is not None:
        thresholds = range_of(threshold.array) << aligned.threshold_shift
        compared = hull([charged << aligned.compare_shift, thresholds])
        bits = aligned.charged_fraction_bits + aligned.compare_shift
        accumulators.append(accumulator_of(operation.name, Purpose.COMPARED, bits, compared))
        if operation.reset is None:
            passed.append(thresholds)
            # What fires is at its threshold at least.
            kept = hull([charged, Interval(0, max(charged.high - thresholds.low, 0))])
    widest = hull([kept, _raised(kept, aligned.rounding), *passed])
    accumulators.insert(0, accumulator_of(operation.name, Purpose.CHARGED, aligned.charged_fraction_bits, widest))
    return Inferred((spikes, membranes), tuple(accumulators))


class _Charge(NamedTuple):
    """Ranges of the parts of a charged membrane: what is added up, and what is multiplied before."""

    terms: list[Interval]
    multiplied: list[Interval]


def _charges(
    operation: IntegrateAndFire, source: Array, decay: Codes | None, aligned: alignment.NeuronAlignment
) -> list[_Charge]:
    """What charges membranes, for each different decay."""
    fmt = operation.membrane.format
    v = Interval(fmt.min_code, fmt.max_code)
    found = []
    for d in [1] if decay is None else np.unique(decay.array).tolist():
        lost = aligned.one - d
        leak = lost * (operation.reset or 0)
        driven = source.interval.times(Interval(lost, lost)) if operation.decays_input else source.interval
        terms = [
            v.times(Interval(d, d)) << aligned.decay_shift,
            Interval(leak, leak) << aligned.decay_shift,
            driven << aligned.input_shift,
        ]
        multiplied = [v, Interval(d, d)]
        if operation.decays_input or operation.reset:
            multiplied.append(Interval(lost, lost))
        if operation.decays_input:
            multiplied.append(source.interval)
        found.append(_Charge(terms, multiplied))
    return found


def _same_codes(operation: Operation, source: Array, shape: tuple[int, ...], fraction_bits: int) -> Inferred:
    return Inferred((array_of(operation.name, shape, fraction_bits, source.interval),))


def _exact(values: NDArray[np.integer]) -> NDArray[Any]:
    """The same numbers as Python's, which do not overflow."""
    return values.astype(object)


def _or_zero(interval: Interval) -> Interval:
    return Interval(min(interval.low, 0), max(interval.high, 0))


def _total(terms: Sequence[Interval]) -> Interval:
    return Interval(sum(term.low for term in terms), sum(term.high for term in terms))


def _on_the_way(terms: Sequence[Interval]) -> list[Interval]:
    """What sums of any of the terms can be, in any order, and the terms by themselves."""
    return [_total([_or_zero(term) for term in terms])]


def _half(drop: int) -> int:
    return (1 << drop) >> 1


def _even(codes: Interval, drop: int) -> Interval:
    """Bounds of codes of which bits are dropped, to nearest."""
    return Interval(codes.low + _half(drop) - (drop > 0) >> drop, codes.high + _half(drop) >> drop)


def _raised(codes: Interval, to: CodeRounding) -> Interval:
    """Codes with the most that rounding adds to them."""
    return Interval(codes.low, codes.high + (1 << to.drop) - 1)


def _stored(codes: Interval, to: CodeRounding) -> Interval:
    """Bounds of what any rounding makes of codes."""
    raised = _raised(codes, to)
    return Interval(*(min(max(end >> to.drop, to.lowest), to.highest) for end in raised))


def _constant(operation: Operation, argument: str, codes: Codes, dimensions: int) -> Codes:
    if len(codes.shape) != dimensions:
        raise ValueError(f"{argument} of {operation.name!r} must have {dimensions} dimensions, got {codes.shape}.")
    return codes


def _check_broadcast(operation: Operation, argument: str, codes: Codes, shape: tuple[int, ...]) -> None:
    try:
        fits = np.broadcast_shapes(codes.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{argument} of {operation.name!r} must broadcast to {shape}, got shape {codes.shape}.")


def _misfit(operation: Operation, wanted: str, source: Array) -> ValueError:
    return ValueError(f"sources of {operation.name!r} must {wanted}, got {source.name!r} of shape {source.shape}.")
