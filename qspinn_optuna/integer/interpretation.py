"""What an operation computes, in numpy, for many samples at once: int64 arrays [samples, ...]."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from qspinn_optuna.fixed_point.integer_rounding import CodeRounding, round_codes
from qspinn_optuna.integer import alignment
from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.graph import Graph
from qspinn_optuna.integer.keyed_rounding import stored
from qspinn_optuna.integer.operations import (
    Affine,
    Concatenation,
    Convolution,
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

Values = NDArray[np.int64]

_FLOAT32_INTEGERS, _FLOAT64_INTEGERS = 2**24, 2**53
"""Up to here, floats hold every integer."""

_NO_BITS = np.zeros(1, np.uint64)


class Moment:
    """When an operation is computed, and of what network.

    Args:
        graph: The network.
        samples: Numbers of the samples, [samples].
        step: Number of the step.
    """

    def __init__(self, graph: Graph, samples: NDArray[np.int64], step: int) -> None:
        self.graph = graph
        self.samples = samples
        self.step = step

    def constant(self, name: str) -> Values:
        """Codes of a constant."""
        return self.graph.codes[name].array.astype(np.int64)

    def fraction_bits(self, name: str) -> int:
        """Fraction bits of an array."""
        return self.graph.array(name).fraction_bits

    def round(self, accumulators: Values, to: CodeRounding, key: int) -> Values:
        """Codes of accumulators; stochastic rounding draws from ``key``."""
        return stored(accumulators, to, key, self.samples, self.step)


@singledispatch
def compute(operation: Operation, sources: Sequence[Values], moment: Moment) -> Values:
    """The result of an operation without a state.

    Args:
        operation: The operation.
        sources: What it reads, [samples, ...].
        moment: When.

    Raises:
        TypeError: If the operation is of another kind.
    """
    raise TypeError(f"operation must be one without a state, got {type(operation).__name__}.")


@compute.register
def _linear(operation: Linear, sources: Sequence[Values], moment: Moment) -> Values:
    weight = moment.constant(operation.weight)
    return _biased(operation, _product(sources[0], weight.T), -1, moment)


@compute.register
def _convolution(operation: Convolution, sources: Sequence[Values], moment: Moment) -> Values:
    weight = moment.constant(operation.weight)
    filters, seen, height, width = weight.shape
    (rows, columns), groups = operation.padding, operation.groups
    padded = np.pad(sources[0], ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    patches = _windows(padded, (height, width), operation.stride, operation.dilation)
    samples, _, high, wide = patches.shape[:4]
    # [samples, groups, high, wide, values of a window] times [groups, values, filters of a group].
    grouped = patches.reshape(samples, groups, seen, high, wide, height, width).transpose(0, 1, 3, 4, 2, 5, 6)
    kernels = weight.reshape(groups, filters // groups, -1).transpose(0, 2, 1)
    sums = _product(grouped.reshape(samples, groups, high * wide, -1), kernels)
    return _biased(operation, sums.transpose(0, 1, 3, 2).reshape(samples, filters, high, wide), 1, moment)


@compute.register
def _pool(operation: Pool, sources: Sequence[Values], moment: Moment) -> Values:
    (x,) = sources
    largest = operation.kind is PoolKind.MAX
    # Windows that begin inside may end beyond what is padded on that side.
    around = [(0, 0), (0, 0)]
    for size, kernel, stride, padding, whole in zip(
        operation.size, operation.kernel, operation.stride, operation.padding, x.shape[2:], strict=True
    ):
        around.append((padding, max((size - 1) * stride + kernel - padding - whole, 0)))
    padded = np.pad(x, around, constant_values=np.iinfo(np.int64).min if largest else 0)
    windows = _windows(padded, operation.kernel, operation.stride, (1, 1))
    windows = windows[:, :, : operation.size[0], : operation.size[1]]
    result: Values = windows.max(axis=(4, 5)) if largest else windows.sum(axis=(4, 5))
    return result


@compute.register
def _sum(operation: Sum, sources: Sequence[Values], moment: Moment) -> Values:
    shifted = _on_finest_grid(operation, sources, moment)
    total: Values = np.sum([sign * x for sign, x in zip(operation.signs, shifted, strict=True)], axis=0)
    return total


@compute.register
def _offset(operation: Offset, sources: Sequence[Values], moment: Moment) -> Values:
    aligned = alignment.terms(moment.fraction_bits(operation.sources[0]), _format_bits(operation.offset, moment))
    return (sources[0] << aligned.one_shift) + (moment.constant(operation.offset) << aligned.other_shift)


@compute.register
def _scale(operation: Scale, sources: Sequence[Values], moment: Moment) -> Values:
    return sources[0] * moment.constant(operation.factor)


@compute.register
def _power_of_two(operation: PowerOfTwo, sources: Sequence[Values], moment: Moment) -> Values:
    return sources[0]


@compute.register
def _affine(operation: Affine, sources: Sequence[Values], moment: Moment) -> Values:
    factors = alignment.factors_of(operation, moment.graph.codes[operation.scale])
    offset = operation.offset
    aligned = alignment.of_affine(
        operation,
        moment.fraction_bits(operation.sources[0]),
        scale=factors.fraction_bits,
        offset=None if offset is None else _format_bits(offset, moment),
    )
    shape = [1] * (sources[0].ndim - 1)
    shape[operation.axis] = -1
    exact = _row(factors.array, moment).reshape(shape) * sources[0] << aligned.product_shift
    if offset is not None:
        exact = exact + (_row(moment.constant(offset), moment).reshape(shape) << aligned.offset_shift)
    return round_codes(exact, aligned.rounding, _NO_BITS)


@compute.register
def _requantization(operation: Requantization, sources: Sequence[Values], moment: Moment) -> Values:
    aligned = alignment.of_requantization(operation, moment.fraction_bits(operation.sources[0]))
    x = sources[0]
    if drop := aligned.even_drop:
        # Half a step, less a little if what is below is even: a tie stays there.
        x = x + ((1 << drop - 1) - 1) + (x >> drop & 1) >> drop
    return moment.round(x << aligned.shift, aligned.rounding, operation.key)


@compute.register
def _reshape(operation: Reshape, sources: Sequence[Values], moment: Moment) -> Values:
    return sources[0].reshape(len(sources[0]), *operation.shape)


@compute.register
def _permutation(operation: Permutation, sources: Sequence[Values], moment: Moment) -> Values:
    return sources[0].transpose(0, *(old + 1 for old in operation.order))


@compute.register
def _concatenation(operation: Concatenation, sources: Sequence[Values], moment: Moment) -> Values:
    return np.concatenate(_on_finest_grid(operation, sources, moment), axis=operation.axis + 1)


def fire(neurons: IntegrateAndFire, x: Values, v: Values, moment: Moment) -> tuple[Values, Values]:
    """Spikes, and membranes afterwards, [samples, ...].

    Args:
        neurons: The neurons.
        x: What they take.
        v: Their membranes before.
        moment: When.
    """
    decay, threshold = neurons.decay, neurons.threshold
    aligned = alignment.of_neurons(
        neurons,
        moment.fraction_bits(neurons.sources[0]),
        decay=None if decay is None else _format_bits(decay, moment),
        threshold=None if threshold is None else _format_bits(threshold, moment),
    )
    kept = np.ones(1, np.int64) if decay is None else moment.constant(decay)
    lost = aligned.one - kept
    driven = lost * x if neurons.decays_input else x
    u = (kept * v + lost * (neurons.reset or 0) << aligned.decay_shift) + (driven << aligned.input_shift)
    if threshold is None:
        return np.zeros_like(u), moment.round(u, aligned.rounding, neurons.key)
    thresholds = moment.constant(threshold) << aligned.threshold_shift
    spikes = (u << aligned.compare_shift >= thresholds).astype(np.int64)
    if neurons.reset is None:
        return spikes, moment.round(u - spikes * thresholds, aligned.rounding, neurons.key)
    stored = moment.round(u, aligned.rounding, neurons.key)
    return spikes, np.where(spikes > 0, neurons.reset, stored)


def _biased(operation: Linear | Convolution, sums: Values, axis: int, moment: Moment) -> Values:
    """Sums of products with a bias of the outputs, which are in dimension ``axis``."""
    if operation.bias is None:
        return sums
    products = moment.fraction_bits(operation.sources[0]) + _format_bits(operation.weight, moment)
    aligned = alignment.terms(products, _format_bits(operation.bias, moment))
    shape = [1] * sums.ndim
    shape[axis] = -1
    return (sums << aligned.one_shift) + (moment.constant(operation.bias).reshape(shape) << aligned.other_shift)


def _product(x: Values, weight: Values) -> Values:
    """A matrix product, by way of the narrowest floats that hold every sum exactly, if there are any."""
    largest = int(np.abs(x).max(initial=0)) * int(np.abs(weight).sum(axis=-2).max())
    if largest > _FLOAT64_INTEGERS:
        return x @ weight
    kind = np.float32 if largest <= _FLOAT32_INTEGERS else np.float64
    exact: Values = (x.astype(kind) @ weight.astype(kind)).astype(np.int64)
    return exact


def _row(rows: Values, moment: Moment) -> Values:
    """The row of the step, or the only one."""
    row: Values = rows[moment.step if len(rows) > 1 else 0]
    return row


def _windows(padded: Values, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]) -> Values:
    """Windows of the last two dimensions, [..., windows down, windows across, height, width]."""
    spans = [distance * (size - 1) + 1 for distance, size in zip(dilation, kernel, strict=True)]
    every = sliding_window_view(padded, spans, axis=(2, 3))
    chosen: Values = every[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return chosen


def _on_finest_grid(operation: Operation, sources: Sequence[Values], moment: Moment) -> list[Values]:
    """Arrays, shifted to the grid of the finest of them."""
    bits = [moment.fraction_bits(name) for name in operation.sources]
    return [x << max(bits) - own for x, own in zip(sources, bits, strict=True)]


def _format_bits(constant: str, moment: Moment) -> int:
    codes: Codes = moment.graph.codes[constant]
    return codes.format.fraction_bits
