"""Kinds that compute element by element."""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp, prod

from torch import Tensor

from qspinn_optuna.fixed_point import ParameterQuantization
from qspinn_optuna.integer import operations
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.kinds import Emitter, unnamed
from qspinn_optuna.networks.capture.sources import Source
from qspinn_optuna.networks.capture.symbols import Box, Computed, Shape, part_shape, stripped


class Elementwise:
    """Element by element, of operands that broadcast."""

    def boxes(self, computed: Computed, box: Box) -> tuple[Box | None, ...]:  # noqa: D102
        return tuple(_broadcast(tuple(origins.shape), box) for origins in computed.operands)


def _broadcast(shape: Shape, box: Box) -> Box:
    """The part of an operand that is broadcast to a box."""
    parts = box[len(box) - len(shape) :] if shape else ()
    return tuple(slice(0, 1) if length == 1 else part for length, part in zip(shape, parts, strict=True))


@dataclass(frozen=True)
class Addition(Elementwise):
    """A sum of arrays with signs."""

    signs: tuple[int, ...]

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:  # noqa: D102
        shape = part_shape(box)
        for origins in operands:
            if origins.numel() != prod(shape):
                raise CaptureError(
                    f"{where} cannot be captured: it adds arrays of the shapes "
                    f"{[stripped(tuple(one.shape)) for one in operands]}, which must be one shape."
                )
        sources = tuple(emitter.array(origins, shape) for origins in operands)
        return emitter.emit(unnamed(operations.Sum, len(sources), signs=self.signs), sources, shape, where)


@dataclass(frozen=True)
class ConstantAddition(Elementwise):
    """A constant plus, or minus, an array."""

    sign: int
    constant_sign: int

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:  # noqa: D102
        shape = part_shape(box)
        if operands[0].numel() != prod(shape):
            raise CaptureError(f"{where} cannot be captured: the constant has more elements than the array it joins.")
        result = emitter.array(operands[0], shape)
        # x - c is -(c - x): a constant is stored as it is, and added.
        if self.sign * self.constant_sign < 0:
            result = _negated(emitter, result, shape, where)
        constant = emitter.constant(operands[1], _aligned(operands[1], shape))
        result = emitter.emit(unnamed(operations.Offset, 1, offset=constant), (result,), shape, where)
        if self.constant_sign < 0:
            result = _negated(emitter, result, shape, where)
        return result


@dataclass(frozen=True)
class NumberAddition(Elementwise):
    """An array plus a number, or a number minus an array."""

    sign: int
    number: float

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:  # noqa: D102
        shape = part_shape(box)
        result = emitter.array(operands[0], shape)
        # A constant is stored without a sign: x - c is -(c - x).
        positive = self.number >= 0
        if (self.sign > 0) is not positive:
            result = _negated(emitter, result, shape, where)
        if self.number != 0:
            constant = emitter.number(abs(self.number))
            result = emitter.emit(unnamed(operations.Offset, 1, offset=constant), (result,), shape, where)
        return result if positive else _negated(emitter, result, shape, where)


@dataclass(frozen=True)
class ConstantProduct(Elementwise):
    """An array times a constant."""

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:  # noqa: D102
        shape = part_shape(box)
        if operands[0].numel() != prod(shape):
            raise CaptureError(f"{where} cannot be captured: the constant has more elements than the array it scales.")
        array = emitter.array(operands[0], shape)
        constant = emitter.constant(operands[1], _aligned(operands[1], shape))
        return emitter.emit(unnamed(operations.Scale, 1, factor=constant), (array,), shape, where)


@dataclass(frozen=True)
class NumberProduct(Elementwise):
    """An array times a number.

    Args:
        number: The number.
        count: Of an average, the number of values, whose reciprocal it is.
    """

    number: float
    count: int | None = None

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:  # noqa: D102
        shape = part_shape(box)
        array = emitter.array(operands[0], shape)
        stored = None if self.count is None else emitter.reciprocal(self.count)
        if stored is None and abs(self.number) == _power_of_two(self.number):
            exponent = _exponent(self.number)
            if exponent != 0:
                array = emitter.emit(unnamed(operations.PowerOfTwo, 1, exponent=exponent), (array,), shape, where)
            return array if self.number > 0 else _negated(emitter, array, shape, where)
        if stored is None and self.count is not None and not emitter.rounds_next:
            raise CaptureError(
                f"{where} cannot be captured: it divides by {self.count} in floating point, since the configuration "
                f"has no factor 'reciprocal.{self.count}'. Divide by a power of two, or add such a parameter to it."
            )
        factor = emitter.number(abs(self.number)) if stored is None else stored
        result = emitter.emit(unnamed(operations.Scale, 1, factor=factor), (array,), shape, where)
        return result if self.number > 0 else _negated(emitter, result, shape, where)


@dataclass(frozen=True)
class Rounding(Elementwise):
    """What a layer takes, or a state keeps, in its format."""

    name: str
    to: ParameterQuantization
    finer_bits: int | None
    key: int

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:  # noqa: ARG002, D102
        shape = part_shape(box)
        with emitter.before_rounding():
            array = emitter.array(operands[0], shape)
        rounding = unnamed(operations.Requantization, 1, to=self.to, finer_bits=self.finer_bits, key=self.key)
        return emitter.emit(rounding, (array,), shape, self.name)


def _negated(emitter: Emitter, array: Source, shape: Shape, where: str) -> Source:
    return emitter.emit(unnamed(operations.Sum, 1, signs=(-1,)), (array,), shape, where)


def _aligned(origins: Tensor, shape: Shape) -> Shape:
    """Shape in which a constant broadcasts to an array; [1] of a single number."""
    return (1,) if origins.numel() == 1 else stripped(tuple(origins.shape))[-len(shape) :]


def _power_of_two(number: float) -> float:
    return 2.0 ** _exponent(number) if number else 0.0


def _exponent(number: float) -> int:
    return frexp(abs(number))[1] - 1
