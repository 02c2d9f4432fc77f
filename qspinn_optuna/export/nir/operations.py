"""Operations of a graph as primitives of NIR.

==================  ===================================================================================================
Linear              Linear, or Affine with a bias
Convolution         Conv2d, its groups as zeros between channels; Conv1d if the height is 1
Pool, sums          SumPool2d
Pool, largest       of 0 and another value, such as spikes: SumPool2d and Threshold, which is the same; else AvgPool2d
Sum, PowerOfTwo     none: what arrives at a node is added up, with a Scale for each factor other than 1
Offset, Affine      Affine with a diagonal of weights, or Conv2d with a window of 1; of constants that change from step
                    to step, those of the first
Scale               Scale
Requantization      none
Reshape             none, or Flatten
Delay               Delay, of 1
IntegrateAndFire    IF, or LIF with a decay; what reads membranes: I or LI
==================  ===================================================================================================

What has no node, such as a permutation or a window that nir's check of types does not know, is a matrix: Flatten and
Linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export.nir.graph import GraphBuilder, Shape, Signal, check_weights, stored
from qspinn_optuna.export.nir.neurons import Neurons
from qspinn_optuna.integer import Graph
from qspinn_optuna.integer.interpretation import Moment, compute
from qspinn_optuna.integer.operations import (
    Affine,
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

_BATCH = 64
"""Unit vectors that an operation takes at a time."""

Values = NDArray[np.float64]


@dataclass
class Lowering:
    """How far a graph has become nodes.

    Args:
        graph: The graph.
        builder: Of the nodes.
        constants: Values of the constants.
        live: Names of the arrays that are needed.
        signals: What there is of them, by name.
    """

    graph: Graph
    builder: GraphBuilder
    constants: Mapping[str, Values]
    live: set[str]
    signals: dict[str, Signal] = field(default_factory=dict)

    def shape(self, name: str) -> Shape:
        """Shape of an array in the network."""
        return self.graph.array(name).shape

    def source(self, operation: Operation) -> Signal:
        """What an operation with one source reads."""
        (name,) = operation.sources
        return self.signals[name]

    def optional(self, name: str | None) -> Values | None:
        """Values of a constant, if it is named."""
        return None if name is None else self.constants[name]


def lower_operation(operation: Operation, lowering: Lowering, described: str) -> None:
    """Add the nodes of an operation.

    Args:
        operation: The operation.
        lowering: What there is; the operation's results are added.
        described: The operation as JSON.

    Raises:
        ValueError: If NIR cannot hold it.
    """
    if isinstance(operation, IntegrateAndFire):
        _lower_neurons(operation, lowering, described)
    else:
        lowering.signals[operation.name] = _lower(operation, lowering, described)


def lower_delay_source(operation: Delay, lowering: Lowering) -> None:
    """Connect what a delay takes, which may come after it."""
    (node,) = lowering.signals[operation.name].terms
    x = lowering.source(operation)
    lowering.builder.connect(lowering.builder.flat(x), node)


def _lower_neurons(operation: IntegrateAndFire, lowering: Lowering, described: str) -> None:
    neurons = Neurons(
        operation,
        lowering.source(operation),
        lowering.shape(operation.name),
        lowering.optional(operation.threshold),
        lowering.optional(operation.decay),
        described,
    )
    if operation.name in lowering.live:
        lowering.signals[operation.name] = neurons.spikes(lowering.builder)
    if operation.membrane_name in lowering.live:
        lowering.signals[operation.membrane_name] = neurons.membranes(lowering.builder)


@singledispatch
def _lower(operation: Operation, lowering: Lowering, described: str) -> Signal:
    """The result of an operation without a state: as a matrix, if it has no other form below."""
    return _as_matrices(operation, lowering, described)


@_lower.register
def _linear(operation: Linear, lowering: Lowering, described: str) -> Signal:
    x, shape = lowering.source(operation), lowering.shape(operation.sources[0])
    weight, bias = lowering.constants[operation.weight], lowering.optional(operation.bias)
    if len(shape) == 1:
        x = lowering.builder.flat(x)
    if x.shape != shape:
        return _as_matrices(operation, lowering, described)
    if len(shape) > 1:
        check_weights(operation.name, prod(shape[:-1]) * weight.size)
    weight = np.broadcast_to(weight, (*shape[:-1], *weight.shape))
    if bias is not None:
        bias = np.broadcast_to(bias, (*shape[:-1], *bias.shape))
    return _matrix(operation.name, weight, bias, x, lowering.builder, described)


@_lower.register
def _convolution(operation: Convolution, lowering: Lowering, described: str) -> Signal:
    x, shape = lowering.source(operation), lowering.shape(operation.sources[0])
    result = lowering.shape(operation.name)
    weight, bias = lowering.constants[operation.weight], lowering.optional(operation.bias)
    if operation.groups > 1:
        check_weights(operation.name, operation.groups * weight.size)
        weight = _without_groups(weight, operation.groups)
    name = operation.name
    parameters: dict[str, Any] = {
        "weight": stored(name, weight),
        "stride": operation.stride,
        "padding": operation.padding,
        "dilation": operation.dilation,
        "groups": 1,
        "bias": stored(name, np.zeros(len(weight)) if bias is None else bias),
    }
    one_dimension = shape[1] == 1 and weight.shape[2] == 1 and operation.padding[0] == 0
    if one_dimension and x.shape in (shape, (shape[0], shape[2])):
        parameters |= {key: parameters[key][1] for key in ("stride", "padding", "dilation")}
        parameters |= {"weight": parameters["weight"][:, :, 0], "input_shape": shape[2]}
        x = lowering.builder.flattened(x, len(x.shape) - 1)
        return lowering.builder.add(name, "Conv1d", parameters, x, (result[0], result[2]), described)
    # nir 1.0.8 checks types with the height of the windows alone.
    side = weight.shape[2]
    if x.shape == shape and result[1:] == _windows(shape, operation, (side, side), operation.dilation):
        return lowering.builder.add(name, "Conv2d", parameters | {"input_shape": shape[1:]}, x, result, described)
    return _as_matrices(operation, lowering, described)


@_lower.register
def _pool(operation: Pool, lowering: Lowering, described: str) -> Signal:
    source, name = lowering.graph.array(operation.sources[0]), operation.name
    if operation.kind is PoolKind.SUM:
        return _window_sums(operation, "SumPool2d", lowering, described)
    if source.low >= 0 and source.high <= 1:
        sums = _window_sums(operation, "SumPool2d", lowering, described)
        unit = 2.0**-source.fraction_bits
        threshold = {"threshold": stored(name, np.full(sums.shape, unit / 2))}
        return lowering.builder.add(f"{name}_any", "Threshold", threshold, sums).times(unit)
    lowering.builder.deviations.append(f"{name}: the largest of a window; NIR has the average of it.")
    return _window_sums(operation, "AvgPool2d", lowering, described)


@_lower.register
def _sum(operation: Sum, lowering: Lowering, described: str) -> Signal:
    terms = [
        lowering.signals[source].times(sign) for source, sign in zip(operation.sources, operation.signs, strict=True)
    ]
    if len({term.shape for term in terms}) > 1:
        terms = [lowering.builder.flat(term) for term in terms]
    total, *others = terms
    for term in others:
        total = total + term
    return total


@_lower.register
def _offset(operation: Offset, lowering: Lowering, described: str) -> Signal:
    shape = lowering.shape(operation.name)
    offset = np.broadcast_to(lowering.constants[operation.offset], shape)
    return _scaled_and_shifted(operation, np.ones(shape), offset, lowering, described)


@_lower.register
def _scale(operation: Scale, lowering: Lowering, described: str) -> Signal:
    x = lowering.source(operation)
    factor = np.broadcast_to(lowering.constants[operation.factor], lowering.shape(operation.name)).reshape(x.shape)
    return lowering.builder.add(
        operation.name, "Scale", {"scale": stored(operation.name, factor)}, x, operation=described
    )


@_lower.register
def _affine(operation: Affine, lowering: Lowering, described: str) -> Signal:
    shape = lowering.shape(operation.name)
    across = [-1 if axis == operation.axis else 1 for axis in range(len(shape))]
    scales = lowering.constants[operation.scale]
    scales = np.exp2(scales) if operation.shifts else scales
    rows = [scales, np.zeros((1, 1)) if operation.offset is None else lowering.constants[operation.offset]]
    if any(len(own) > 1 for own in rows):
        lowering.builder.deviations.append(
            f"{operation.name}: its constants change from step to step; NIR keeps those of the first."
        )
    scale, offset = (np.broadcast_to(own[0].reshape(across), shape) for own in rows)
    return _scaled_and_shifted(operation, scale, offset, lowering, described)


@_lower.register
def _power_of_two(operation: PowerOfTwo, lowering: Lowering, described: str) -> Signal:
    return lowering.source(operation).times(2.0**operation.exponent)


@_lower.register(Requantization)
@_lower.register(Reshape)
def _same(operation: Operation, lowering: Lowering, described: str) -> Signal:
    return lowering.source(operation)


@_lower.register
def _permutation(operation: Permutation, lowering: Lowering, described: str) -> Signal:
    shape = lowering.shape(operation.sources[0])
    longer = [axis for axis in operation.order if shape[axis] > 1]
    if longer == sorted(longer):
        # The values keep their order.
        return lowering.source(operation)
    return _as_matrices(operation, lowering, described)


@_lower.register
def _delay(operation: Delay, lowering: Lowering, described: str) -> Signal:
    shape = (prod(operation.shape),)
    delay = {"delay": stored(operation.name, np.ones(shape))}
    return lowering.builder.add(operation.name, "Delay", delay, None, shape, described)


def _matrix(name: str, weight: Values, bias: Values | None, x: Signal, builder: GraphBuilder, described: str) -> Signal:
    """Sums of products, with a bias if there is one."""
    shape = weight.shape[:-1]
    if bias is None:
        return builder.add(name, "Linear", {"weight": stored(name, weight)}, x, shape, described)
    parameters = {"weight": stored(name, weight), "bias": stored(name, bias)}
    return builder.add(name, "Affine", parameters, x, shape, described)


def _without_groups(weight: Values, groups: int) -> Values:
    """Weights of all channels, with zeros where a group does not see: nir 1.0.8 takes all groups for one in types."""
    filters, seen, height, width = weight.shape
    whole = np.zeros((groups, filters // groups, groups, seen, height, width))
    for group, own in enumerate(weight.reshape(groups, filters // groups, seen, height, width)):
        whole[group, :, group] = own
    return whole.reshape(filters, groups * seen, height, width)


def _windows(shape: Shape, operation: Convolution | Pool, kernel: tuple[int, int], dilation: tuple[int, int]) -> Shape:
    """Number of windows, (down, across), that fit into padded arrays, as nir 1.0.8 counts them."""
    return tuple(
        (size + 2 * padding - distance * (side - 1) - 1) // stride + 1
        for size, padding, stride, side, distance in zip(
            shape[1:], operation.padding, operation.stride, kernel, dilation, strict=True
        )
    )


def _window_sums(operation: Pool, kind: str, lowering: Lowering, described: str) -> Signal:
    """Sums of windows, or averages."""
    x, shape = lowering.source(operation), lowering.shape(operation.sources[0])
    sizes = {name: np.array(getattr(operation, name)) for name in ("stride", "padding")}
    if x.shape == shape and operation.size == _windows(shape, operation, operation.kernel, (1, 1)):
        parameters = {"kernel_size": np.array(operation.kernel), **sizes}
        return lowering.builder.add(operation.name, kind, parameters, x, lowering.shape(operation.name), described)
    sums = _as_matrices(replace(operation, kind=PoolKind.SUM), lowering, described)
    return sums if kind == "SumPool2d" else sums.times(1 / prod(operation.kernel))


def _scaled_and_shifted(
    operation: Operation, scale: Values, offset: Values, lowering: Lowering, described: str
) -> Signal:
    """Each value times a factor, plus an offset."""
    x, name = lowering.source(operation), operation.name
    scale, offset = scale.reshape(x.shape), offset.reshape(x.shape)
    if len(x.shape) == 3 and all((values == values[:, :1, :1]).all() for values in (scale, offset)):
        weight = np.diag(scale[:, 0, 0])[:, :, None, None]
        parameters = {
            "input_shape": x.shape[1:],
            "weight": stored(name, weight),
            "stride": (1, 1),
            "padding": (0, 0),
            "dilation": (1, 1),
            "groups": 1,
            "bias": stored(name, offset[:, 0, 0]),
        }
        return lowering.builder.add(name, "Conv2d", parameters, x, operation=described)
    check_weights(name, scale.size * scale.shape[-1])
    diagonal = scale[..., None] * np.eye(scale.shape[-1])
    return _matrix(name, diagonal, offset, x, lowering.builder, described)


def _as_matrices(operation: Operation, lowering: Lowering, described: str) -> Signal:
    """An operation that is linear, as a matrix for each source: what it makes of unit vectors."""
    total: Signal | None = None
    sources = [lowering.graph.array(name) for name in operation.sources]
    result = lowering.graph.array(operation.name)
    moment = Moment(lowering.graph, np.zeros(1, np.int64), 0)
    zeros = [np.zeros((1, *source.shape), np.int64) for source in sources]
    constant = compute(operation, zeros, moment).ravel()
    bias = np.ldexp(constant.astype(np.float64), -result.fraction_bits)
    for number, source in enumerate(sources):
        check_weights(operation.name, source.elements * result.elements)
        rows = []
        for start in range(0, source.elements, _BATCH):
            units = np.eye(source.elements, dtype=np.int64)[start : start + _BATCH]
            if source.low == source.high == 0:
                units *= 0  # Nothing else is known to fit.
            given = [np.repeat(zero, len(units), axis=0) for zero in zeros]
            given[number] = units.reshape(-1, *source.shape)
            rows.append(compute(operation, given, moment).reshape(len(units), -1) - constant)
        weight = np.ldexp(np.concatenate(rows).T.astype(np.float64), source.fraction_bits - result.fraction_bits)
        x = lowering.builder.flat(lowering.signals[operation.sources[number]])
        own_bias = bias if number == 0 and bias.any() else None
        term = _matrix(operation.name, weight, own_bias, x, lowering.builder, described)
        total = term if total is None else total + term
    assert total is not None
    return total
