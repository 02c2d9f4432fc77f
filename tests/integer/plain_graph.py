"""A graph in rational numbers and plain loops: the specification that its interpreter is compared with.

It is made of the model's codes and formats alone, and computes with values, not with aligned codes: no shift, no
accumulator, no matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.integer import Graph, IntegerModel, ValueCoding
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
from tests.integer.plain_model import value_of
from tests.stdp.numpy_network import draw

Index = tuple[int, ...]


def indices(shape: tuple[int, ...]) -> Iterator[Index]:
    """In C order."""
    return product(*map(range, shape))


@dataclass
class Tensor:
    """Values by their index."""

    shape: tuple[int, ...]
    values: dict[Index, Fraction]

    def __getitem__(self, index: Index) -> Fraction:
        """The value at an index; 0 outside."""
        return self.values.get(index, Fraction(0))

    def broadcast(self, index: Index) -> Fraction:
        """The value that a larger tensor meets at an index."""
        own = index[len(index) - len(self.shape) :]
        return self.values[tuple(0 if size == 1 else k for k, size in zip(own, self.shape, strict=True))]

    def codes(self, fraction_bits: int) -> list[int]:
        """As integers; every value is on the grid."""
        codes = [value * Fraction(2) ** fraction_bits for value in (self.values[k] for k in indices(self.shape))]
        assert all(code.denominator == 1 for code in codes)
        return [int(code) for code in codes]


def filled(shape: tuple[int, ...], value: Fraction) -> Tensor:
    return Tensor(shape, dict.fromkeys(indices(shape), value))


def tensor_of(codes: Any, fmt: QFormat) -> Tensor:
    flat = np.asarray(codes).ravel().tolist()
    shape = np.asarray(codes).shape
    return Tensor(shape, {k: value_of(code, fmt) for k, code in zip(indices(shape), flat, strict=True)})


def layer_draw(key: int, sample: int, step: int, element: int) -> Fraction:
    """A draw in [0, 1) by the key of a layer."""
    return Fraction(draw(draw(draw(key, sample), step), element) >> 32, 2**32)


def store(value: Fraction, to: ParameterQuantization, r: Fraction) -> Fraction:
    """A value in a format, by the definitions of the roundings; r is a draw."""
    fmt = to.format
    position = value * Fraction(2) ** fmt.fraction_bits
    if to.rounding is Rounding.NEAREST:
        position += Fraction(1, 2)
    elif to.rounding is Rounding.STOCHASTIC:
        position += r
    return value_of(min(max(math.floor(position), fmt.min_code), fmt.max_code), fmt)


def encode(coding: ValueCoding, values: np.ndarray, sample: int) -> list[int]:
    """Codes of the real numbers of one sample, [steps, ...] or [...]."""
    elements = math.prod(coding.shape)
    codes = []
    for k, value in enumerate(values.ravel().tolist()):
        r = layer_draw(coding.key, sample, k // elements, k % elements)
        code = store(Fraction(value), coding.quantization, r) * Fraction(2) ** coding.quantization.format.fraction_bits
        codes.append(int(code))
    return codes


@dataclass
class Run:
    """What happens while a sample is shown."""

    model: IntegerModel
    sample: int
    step: int = 0
    held: dict[str, Tensor] = field(default_factory=dict)
    """Membranes and delayed arrays after the step before."""
    steps: list[dict[str, Tensor]] = field(default_factory=list)
    """All arrays at each step."""
    inner: list[dict[str, list[Fraction]]] = field(default_factory=list)
    """What was compared, stored or rounded at each step, by the name of its operation."""
    passed: dict[str, list[Fraction]] = field(default_factory=dict)
    """Smallest and largest of the terms and partial sums, by the name of their operation."""

    @property
    def graph(self) -> Graph:
        assert isinstance(self.model.network, Graph)
        return self.model.network

    def constant(self, name: str) -> Tensor:
        codes = next(constant.codes for constant in self.graph.constants if constant.name == name)
        return tensor_of(codes.array, codes.format)

    def draw(self, key: int, element: int) -> Fraction:
        return layer_draw(key, self.sample, self.step, element)

    def pass_by(self, operation: Operation, *values: Fraction) -> None:
        """Sums that are not complete, or of which something has been taken."""
        ends = [*self.passed.get(operation.name, []), *values]
        self.passed[operation.name] = [min(ends), max(ends)]

    def note(self, operation: Operation, value: Fraction) -> None:
        self.inner[-1].setdefault(operation.name, []).append(value)


def respond(model: IntegerModel, codes: np.ndarray, sample: int) -> Run:
    """Run the codes of one sample, [steps, ...], or [...] if every step takes the same."""
    run = Run(model, sample)
    coding = model.coding
    assert isinstance(coding, ValueCoding)
    for t in range(coding.steps):
        run.step = t
        run.inner.append({})
        arrays = {"input": tensor_of(codes if coding.repeated else codes[t], coding.quantization.format)}
        for operation in run.graph.operations:
            if isinstance(operation, Delay):
                arrays[operation.name] = run.held.get(operation.name, filled(operation.shape, Fraction(0)))
            elif isinstance(operation, IntegrateAndFire):
                arrays[operation.name], arrays[operation.membrane_name] = neurons(
                    operation, arrays[operation.sources[0]], run
                )
            else:
                arrays[operation.name] = compute(operation, [arrays[name] for name in operation.sources], run)
        for operation in run.graph.operations:
            if isinstance(operation, Delay):
                run.held[operation.name] = arrays[operation.sources[0]]
        run.steps.append(arrays)
    return run


def compute(operation: Operation, sources: list[Tensor], run: Run) -> Tensor:  # noqa: PLR0911
    x = sources[0]
    match operation:
        case Linear():
            return linear(operation, x, run)
        case Convolution():
            return convolution(operation, x, run)
        case Pool():
            return pool(operation, x)
        case Sum():
            signed = list(zip(operation.signs, sources, strict=True))
            for k in x.values:
                for end in range(len(signed)):
                    run.pass_by(operation, sum((sign * one[k] for sign, one in signed[end:]), Fraction(0)))
            return Tensor(x.shape, {k: sum((sign * one[k] for sign, one in signed), Fraction(0)) for k in x.values})
        case Offset():
            offset = run.constant(operation.offset)
            return Tensor(x.shape, {k: value + offset.broadcast(k) for k, value in x.values.items()})
        case Scale():
            factor = run.constant(operation.factor)
            return Tensor(x.shape, {k: value * factor.broadcast(k) for k, value in x.values.items()})
        case PowerOfTwo():
            return Tensor(x.shape, {k: value * Fraction(2) ** operation.exponent for k, value in x.values.items()})
        case Affine():
            return affine(operation, x, run)
        case Requantization():
            return requantization(operation, x, run)
        case Reshape():
            flat = [x[k] for k in indices(x.shape)]
            return Tensor(operation.shape, dict(zip(indices(operation.shape), flat, strict=True)))
        case Permutation():
            shape = tuple(x.shape[old] for old in operation.order)
            moved = {tuple(k[old] for old in operation.order): value for k, value in x.values.items()}
            return Tensor(shape, moved)
        case Concatenation():
            return concatenation(operation, sources)
    raise AssertionError(operation)


def linear(operation: Linear, x: Tensor, run: Run) -> Tensor:
    weight = run.constant(operation.weight)
    bias = None if operation.bias is None else run.constant(operation.bias)
    outputs, inputs = weight.shape
    values = {}
    for k in indices(x.shape[:-1]):
        for o in range(outputs):
            total = Fraction(0) if bias is None else bias[o,]
            for i in range(inputs):
                if x[*k, i]:
                    total += weight[o, i] * x[*k, i]
                    run.pass_by(operation, total, weight[o, i] * x[*k, i])
            values[*k, o] = total
    return Tensor((*x.shape[:-1], outputs), values)


def convolution(operation: Convolution, x: Tensor, run: Run) -> Tensor:
    weight = run.constant(operation.weight)
    bias = None if operation.bias is None else run.constant(operation.bias)
    filters, seen, *kernel = weight.shape
    size = [
        (x.shape[d + 1] + 2 * operation.padding[d] - operation.dilation[d] * (kernel[d] - 1) - 1) // operation.stride[d]
        + 1
        for d in range(2)
    ]
    of_group = filters // operation.groups
    values: dict[Index, Fraction] = {}
    for f, i, j in indices((filters, *size)):
        total = Fraction(0) if bias is None else bias[f,]
        for c, m, n in indices((seen, *kernel)):
            channel = f // of_group * seen + c
            row = i * operation.stride[0] - operation.padding[0] + m * operation.dilation[0]
            column = j * operation.stride[1] - operation.padding[1] + n * operation.dilation[1]
            if value := x[channel, row, column]:
                total += weight[f, c, m, n] * value
                run.pass_by(operation, total, weight[f, c, m, n] * value)
        values[f, i, j] = total
    return Tensor((filters, *size), values)


def pool(operation: Pool, x: Tensor) -> Tensor:
    values: dict[Index, Fraction] = {}
    for c, i, j in indices((x.shape[0], *operation.size)):
        rows, columns = (
            [
                k * operation.stride[d] - operation.padding[d] + m
                for m in range(operation.kernel[d])
                if 0 <= k * operation.stride[d] - operation.padding[d] + m < x.shape[d + 1]
            ]
            for d, k in enumerate((i, j))
        )
        inside = [x[c, row, column] for row in rows for column in columns]
        values[c, i, j] = max(inside) if operation.kind is PoolKind.MAX else sum(inside, Fraction(0))
    return Tensor((x.shape[0], *operation.size), values)


def affine(operation: Affine, x: Tensor, run: Run) -> Tensor:
    scale = run.constant(operation.scale)
    offset = None if operation.offset is None else run.constant(operation.offset)
    # A format of 24 bits has these ends.
    ends = -(2**23), 2**23 - 1
    values = {}
    for k, value in x.values.items():
        channel = k[operation.axis]
        factor = scale[run.step if scale.shape[0] > 1 else 0, channel]
        exact: Fraction = (Fraction(2) ** int(factor) if operation.shifts else factor) * value
        if offset is not None:
            exact += offset[run.step if offset.shape[0] > 1 else 0, channel]
        run.note(operation, exact)
        code = math.floor(exact * Fraction(2) ** operation.fraction_bits + Fraction(1, 2))
        values[k] = min(max(code, ends[0]), ends[1]) * Fraction(2) ** -operation.fraction_bits
    return Tensor(x.shape, values)


def requantization(operation: Requantization, x: Tensor, run: Run) -> Tensor:
    values = {}
    for element, k in enumerate(indices(x.shape)):
        value = x[k]
        run.note(operation, value)
        if operation.finer_bits is not None:
            grid = Fraction(2) ** (operation.to.format.fraction_bits + operation.finer_bits)
            # Python rounds ties to even.
            value = round(value * grid) / grid
        values[k] = store(value, operation.to, run.draw(operation.key, element))
    return Tensor(x.shape, values)


def concatenation(operation: Concatenation, sources: list[Tensor]) -> Tensor:
    axis, start, values = operation.axis, 0, {}
    for x in sources:
        for k, value in x.values.items():
            values[*k[:axis], k[axis] + start, *k[axis + 1 :]] = value
        start += x.shape[axis]
    shape = sources[0].shape
    return Tensor((*shape[:axis], start, *shape[axis + 1 :]), values)


def neurons(operation: IntegrateAndFire, x: Tensor, run: Run) -> tuple[Tensor, Tensor]:
    fmt = operation.membrane.format
    before = run.held.get(operation.membrane_name, filled(x.shape, value_of(operation.start, fmt)))
    reset = Fraction(0) if operation.reset is None else value_of(operation.reset, fmt)
    decay = None if operation.decay is None else run.constant(operation.decay)
    threshold = None if operation.threshold is None else run.constant(operation.threshold)
    spikes, after = {}, {}
    for element, k in enumerate(indices(x.shape)):
        v, u = before[k], before[k] + x[k]
        if decay is not None:
            d = decay.broadcast(k)
            driven = (1 - d) * x[k] if operation.decays_input else x[k]
            u = v + (1 - d) * (reset - v) + driven
            terms = d * v, (1 - d) * reset, driven
            run.pass_by(operation, *terms, terms[0] + terms[1], terms[1] + terms[2], terms[0] + terms[2])
        run.note(operation, u)
        spikes[k] = Fraction(int(threshold is not None and u >= threshold.broadcast(k)))
        if spikes[k]:
            assert threshold is not None
            u = reset if operation.reset is not None else u - threshold.broadcast(k)
            run.pass_by(operation, u)
        after[k] = store(u, operation.membrane, run.draw(operation.key, element))
    run.held[operation.membrane_name] = Tensor(x.shape, after)
    return Tensor(x.shape, spikes), Tensor(x.shape, after)


def scores(run: Run) -> list[Fraction]:
    """Of every class."""
    readout: Any = run.model.readout
    seen = [[step[readout.source][k] for k in indices(step[readout.source].shape)] for step in run.steps]
    if readout.reduction == "last":
        return seen[-1]
    return [sum(column, Fraction(0)) for column in zip(*seen, strict=True)]


def answer(run: Run) -> int:
    """The first class of those with the largest score."""
    found = scores(run)
    return found.index(max(found))
