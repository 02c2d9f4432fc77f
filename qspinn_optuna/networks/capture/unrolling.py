"""The operations of every time step, each step by itself.

What a step needs is found from its end: neurons and scores demand what they read, which demands what it reads, up to
the input, and results of earlier steps. So an operation belongs to the first step that needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.integer import operations
from qspinn_optuna.networks.capture.constants import FLOAT32_DIGITS, Constants
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.kinds import unnamed
from qspinn_optuna.networks.capture.modules import NeuronRecord
from qspinn_optuna.networks.capture.neurons import integrate_and_fire
from qspinn_optuna.networks.capture.sources import Arrival, Emitted, Result, Source, Zeros
from qspinn_optuna.networks.capture.symbols import (
    Box,
    Computed,
    Entered,
    Known,
    Prepared,
    Shape,
    Stepped,
    Symbol,
    Symbols,
    box_of,
    part_shape,
    shape_of,
    strides,
    stripped,
)
from qspinn_optuna.networks.entry.inputs import GRID_BITS
from qspinn_optuna.networks.names import join


class Unrolling:
    """Makes the operations of time steps.

    Args:
        symbols: The arrays of the run.
        neurons: Its neurons, by name.
        constants: The constants.
        config: Formats of states.

    Attributes:
        step: The step that is made.
        rounds_next: Whether what is made is rounded to a grid next.
        arrivals: What enters at each step, by step.
    """

    def __init__(
        self,
        symbols: Symbols,
        neurons: Mapping[str, NeuronRecord],
        constants: Constants,
        config: QuantizationConfig,
    ) -> None:
        self.step = 0
        self.rounds_next = False
        self.arrivals: dict[int, dict[tuple[Any, ...], Arrival]] = {}
        self._symbols = symbols
        self._neurons = neurons
        self._constants = constants
        self._config = config
        self._fired: dict[tuple[str, int], Emitted] = {}
        self._parts: dict[tuple[Any, ...], Source] = {}
        self._views: dict[tuple[Any, ...], Source] = {}
        self._depends: dict[int, bool] = {}

    def neurons(self, name: str, step: int) -> Emitted:
        """The neurons of a layer at a step."""
        if (name, step) not in self._fired:
            if step != self.step:
                raise CaptureError(
                    f"{name} cannot be captured: step {self.step} of the network needs its spikes of step {step}, "
                    "which a device does not have yet."
                )
            record = self._neurons[name]
            inputs = record.call_at(step).input_at(step)
            shape = stripped(tuple(inputs.shape))
            source = self.array(inputs, shape)
            operation = integrate_and_fire(name, record.module, shape, self._config[join(name, "v")], self._constants)
            self._fired[name, step] = Emitted(step, operation, (source,), shape, name)
        return self._fired[name, step]

    def total(self, several: list[Tensor]) -> Source:
        """The sum of arrays of class scores."""
        sources = tuple(self.array(origins, (origins.numel(),)) for origins in several)
        if len(sources) == 1:
            return sources[0]
        total = unnamed(operations.Sum, len(sources), signs=(1,) * len(sources))
        return self.emit(total, sources, sources[0].shape, "scores")

    def array(self, origins: Tensor, shape: Shape) -> Source:
        """The array of the given elements, in a shape."""
        return self.reshaped(self._natural(origins), shape)

    def reshaped(self, array: Source, shape: Shape) -> Source:
        """An array in another shape."""
        if array.shape == shape:
            return array
        if isinstance(array, Zeros):
            return Zeros(shape)
        return self._once(("reshape", shape), array, unnamed(operations.Reshape, 1, shape=shape), shape)

    def constant(self, origins: Tensor, shape: Shape) -> str:
        """Name of a constant of the given elements, in a shape."""
        return self._constants.of(origins, shape)

    def number(self, value: float) -> str:
        """Name of a constant of one number, which must be on a grid, unless :meth:`before_rounding`."""
        return self._constants.number(value, FLOAT32_DIGITS if self.rounds_next else GRID_BITS)

    @contextmanager
    def before_rounding(self) -> Iterator[None]:
        """A context in which what is made is rounded to a grid next, so that numbers may be as float32 has them."""
        before, self.rounds_next = self.rounds_next, True
        try:
            yield
        finally:
            self.rounds_next = before

    def reciprocal(self, count: int) -> str | None:
        """Name of the stored factor 1 / ``count``; None if there is none."""
        return self._constants.reciprocal(count)

    def emit(self, operation: operations.Operation, sources: tuple[Source, ...], shape: Shape, where: str) -> Source:
        """An operation of this step."""
        if isinstance(operation, operations.Sum):
            kept = [pair for pair in zip(operation.signs, sources, strict=True) if not isinstance(pair[1], Zeros)]
            if not kept:
                return Zeros(shape)
            signs, sources = (tuple(part) for part in zip(*kept, strict=True))
            if signs == (1,):
                return sources[0]
            operation = unnamed(operations.Sum, len(sources), signs=signs)
        if is_linear(operation) and all(isinstance(source, Zeros) for source in sources):
            return Zeros(shape)
        return Result(Emitted(self.step, operation, sources, shape, where))

    def _once(self, what: tuple[Any, ...], array: Source, operation: operations.Operation, shape: Shape) -> Source:
        """A view of an array, made once a step."""
        identity = (id(array.emitted), array.membranes) if isinstance(array, Result) else (id(array),)
        key = (self.step, *what, *identity)
        if key not in self._views:
            where = array.emitted.where if isinstance(array, Result) else "input"
            self._views[key] = self.emit(operation, (array,), shape, where)
            self._parts[("kept", *key)] = array  # Identities are those of arrays that live.
        return self._views[key]

    def _natural(self, origins: Tensor) -> Source:
        """The array of the given elements in the shape that it has, of as many elements in the same order."""
        symbol = self._symbols.only(origins)
        if symbol is None:
            return self._joined(origins)
        box = box_of(symbol, origins)
        if box is None or origins.numel() != prod(shape_of(box)):
            raise CaptureError(
                f"{symbol.where} cannot be captured: its elements are picked, or repeated, in a way that is neither a "
                "reshape nor a transpose, and integer models have no operation for it."
            )
        array = self._part(symbol, box)
        positions = _positions(symbol, box, origins)
        if bool((positions == torch.arange(len(positions))).all()):
            return array
        return self._permuted(array, positions.reshape(origins.shape), symbol)

    def _part(self, symbol: Symbol, box: Box) -> Source:
        """A part of a symbol; results of earlier steps are what they were."""
        if isinstance(symbol, Known):
            if bool((symbol.values == 0).all()):
                return Zeros(part_shape(box))
            raise CaptureError(f"{symbol.where} cannot be captured: constants are joined with what varies.")
        if isinstance(symbol, Entered | Prepared):
            return self.arrivals.setdefault(self.step, {}).setdefault(Arrival(symbol, box).key, Arrival(symbol, box))
        if isinstance(symbol, Stepped):
            return self._of_neurons(symbol, box)
        assert isinstance(symbol, Computed)
        # What the input alone decides is computed anew, at every step that needs it.
        steps = None if self._is_timed(symbol) else self.step
        key = (steps, *Arrival(symbol, box).key)
        if key not in self._parts:
            self._parts[key] = self._computed(symbol, box)
        return self._parts[key]

    def _computed(self, symbol: Computed, box: Box) -> Source:
        boxes = symbol.kind.boxes(symbol, box)
        operands = tuple(
            origins if part is None else origins[part] for origins, part in zip(symbol.operands, boxes, strict=True)
        )
        return symbol.kind.emit(self, operands, box, symbol.where)

    def _of_neurons(self, symbol: Stepped, box: Box) -> Source:
        step = symbol.step + (box[0].start if symbol.several else 0)
        inner = box[1:] if symbol.several else box
        if (symbol.several and box[0].stop - box[0].start != 1) or shape_of(inner) != symbol.shape[-len(inner) :]:
            raise CaptureError(
                f"{symbol.where} cannot be captured: a part of its neurons, or several steps at once, are read by what "
                "comes after it, and integer models have no operation that cuts an array."
            )
        key = ("neurons", symbol.module, step, symbol.membranes)
        if key not in self._parts:
            self._parts[key] = Result(self.neurons(symbol.module, step), symbol.membranes)
        return self._parts[key]

    def _joined(self, origins: Tensor) -> Source:
        """Arrays one behind the other."""
        numbers = self._symbols.indices(origins)
        for axis in range(origins.ndim):
            lines = numbers.movedim(axis, 0).reshape(origins.shape[axis], -1)
            if origins.shape[axis] > 1 and bool((lines == lines[:, :1]).all()):
                cuts = [0, *(1 + (lines[1:, 0] != lines[:-1, 0]).nonzero().flatten()).tolist(), len(lines)]
                return self._concatenated(origins, axis, cuts)
        symbols = ", ".join(dict.fromkeys(symbol.where for symbol in self._symbols.among(origins)))
        raise CaptureError(f"{symbols} cannot be captured: their elements are mixed in a way that is no concatenation.")

    def _concatenated(self, origins: Tensor, axis: int, cuts: list[int]) -> Source:
        shape = stripped(tuple(origins.shape), origins.ndim - axis)
        joined = axis - (origins.ndim - len(shape))
        parts = []
        for start, stop in pairwise(cuts):
            part = origins.narrow(axis, start, stop - start)
            parts.append(self.array(part, (*shape[:joined], stop - start, *shape[joined + 1 :])))
        if all(isinstance(part, Zeros) for part in parts):
            return Zeros(shape)
        first = next(part for part in parts if not isinstance(part, Zeros))
        where = first.emitted.where if isinstance(first, Result) else "input"
        return self.emit(unnamed(operations.Concatenation, len(parts), axis=joined), tuple(parts), shape, where)

    def _permuted(self, array: Source, positions: Tensor, symbol: Symbol) -> Source:
        """An array whose elements are in another order: that of its dimensions, perhaps after a reshape."""
        shape = [length for length in positions.shape if length > 1]
        squeezed = positions.reshape(shape)
        steps = [int(squeezed.select(axis, 1).flatten()[0] - squeezed.flatten()[0]) for axis in range(len(shape))]
        order = sorted(range(len(shape)), key=lambda axis: -steps[axis])
        before = tuple(shape[axis] for axis in order)
        expected = (
            torch.arange(len(positions.flatten()))
            .reshape(before)
            .permute([order.index(axis) for axis in range(len(shape))])
        )
        if not torch.equal(expected, squeezed):
            raise CaptureError(
                f"{symbol.where} cannot be captured: its elements are read in an order that is no transpose."
            )
        if isinstance(array, Zeros):
            return Zeros(tuple(shape))
        turned = tuple(order.index(axis) for axis in range(len(shape)))
        source = self.reshaped(array, before)
        operation = unnamed(operations.Permutation, 1, order=turned)
        return self._once(("permute", turned), source, operation, tuple(shape))

    def _is_timed(self, symbol: Symbol) -> bool:
        """Whether a symbol depends on neurons."""
        if symbol.first not in self._depends:
            self._depends[symbol.first] = isinstance(symbol, Stepped) or (
                isinstance(symbol, Computed)
                and any(self._is_timed(one) for origins in symbol.operands for one in self._symbols.among(origins))
            )
        return self._depends[symbol.first]


_LINEAR = (
    operations.Linear, operations.Convolution, operations.Pool, operations.Sum, operations.Scale,
    operations.PowerOfTwo, operations.Reshape, operations.Permutation, operations.Concatenation,
)  # fmt: skip


def is_linear(operation: operations.Operation) -> bool:
    """Whether the result of an operation is zero where all that it reads is."""
    return isinstance(operation, _LINEAR) and getattr(operation, "bias", None) is None


def _positions(symbol: Symbol, box: Box, origins: Tensor) -> Tensor:
    """Where elements are in a part of a symbol, flat."""
    inside = torch.zeros(origins.numel(), dtype=torch.int64)
    positions = (origins - symbol.first).flatten()
    lengths = shape_of(box)
    for part, length, stride, inner in zip(box, symbol.shape, strides(symbol.shape), strides(lengths), strict=True):
        inside += ((positions.div(stride, rounding_mode="floor") % length) - part.start) * inner
    return inside
