"""What recorded functions compute: which part of their operands a part of their result needs, and as which operation.

A run computes many time steps in one call, a device one step at a time. A result is therefore taken apart into boxes,
ranges along its dimensions, and each kind says which boxes of its operands it takes for one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp, prod
from typing import Protocol

from torch import Tensor

from qspinn_optuna.fixed_point import ParameterQuantization
from qspinn_optuna.integer import operations
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.symbols import Box, Computed, shape_of, whole

Shape = tuple[int, ...]


class Part(Protocol):
    """A value of one sample at one time step, as an array of the graph."""

    @property
    def shape(self) -> Shape:
        """Its shape."""
        ...


class Emitter(Protocol):
    """Makes operations of one time step."""

    step: int

    def array(self, origins: Tensor, shape: Shape) -> Part:
        """The array of the given elements, in a shape."""
        ...

    def reshaped(self, array: Part, shape: Shape) -> Part:
        """An array in another shape."""
        ...

    def constant(self, origins: Tensor, shape: Shape) -> str:
        """Name of a constant of the given elements, in a shape."""
        ...

    def number(self, value: float) -> str:
        """Name of a constant of one number."""
        ...

    def reciprocal(self, count: int) -> str | None:
        """Name of the stored factor 1 / ``count``; None if there is none."""
        ...

    def emit(self, operation: operations.Operation, sources: tuple[Part, ...], shape: Shape, where: str) -> Part:
        """An operation with a result of a shape; its name and the names of its sources are given later."""
        ...


class Kind(Protocol):
    """What a function computes."""

    def boxes(self, computed: Computed, box: Box) -> tuple[Box | None, ...]:
        """Of each operand the part that a part of the result takes; None for all of it.

        Raises:
            CaptureError: If the part cannot be computed by itself.
        """
        ...

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:
        """The operations that compute a part of the result.

        Args:
            emitter: Makes them.
            operands: Origins of the parts of the operands.
            box: The part of the result.
            where: For errors.
        """
        ...


def unnamed(kind: type[operations.Operation], sources: int, /, **arguments: object) -> operations.Operation:
    """An operation whose names are not known yet."""
    return kind("?", ("?",) * sources, **arguments)


def stripped(shape: Shape, least: int = 1) -> Shape:
    """A shape without the ones that it begins with: samples, and steps; at least so many dimensions are left."""
    while len(shape) > least and shape[0] == 1:
        shape = shape[1:]
    return shape


def free_box(computed: Computed, box: Box, bound: tuple[int, ...]) -> Box:
    """The box, which must have all of the dimensions that are bound.

    Raises:
        CaptureError: If it has a part of one.
    """
    for axis in bound:
        if box[axis] != slice(0, computed.shape[axis]):
            raise CaptureError(
                f"{computed.where} cannot be captured: only elements {box[axis].start} to {box[axis].stop - 1} of "
                f"dimension {axis} of its result, of {computed.shape[axis]}, are read together, and integer models "
                "have no operation that cuts an array."
            )
    return box


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

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
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

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
        shape = part_shape(box)
        if operands[0].numel() != prod(shape):
            raise CaptureError(f"{where} cannot be captured: the constant has more elements than the array it joins.")
        result = emitter.array(operands[0], shape)
        # x - c is -(c - x): a constant is stored as it is, and added.
        if self.sign * self.constant_sign < 0:
            result = emitter.emit(unnamed(operations.Sum, 1, signs=(-1,)), (result,), shape, where)
        constant = emitter.constant(operands[1], _aligned(operands[1], shape))
        result = emitter.emit(unnamed(operations.Offset, 1, offset=constant), (result,), shape, where)
        if self.constant_sign < 0:
            result = emitter.emit(unnamed(operations.Sum, 1, signs=(-1,)), (result,), shape, where)
        return result


@dataclass(frozen=True)
class NumberAddition(Elementwise):
    """An array plus a number, or a number minus an array."""

    sign: int
    number: float

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
        shape = part_shape(box)
        result = emitter.array(operands[0], shape)
        if self.sign < 0:
            result = emitter.emit(unnamed(operations.Sum, 1, signs=(-1,)), (result,), shape, where)
        if self.number != 0:
            constant = emitter.number(self.number)
            result = emitter.emit(unnamed(operations.Offset, 1, offset=constant), (result,), shape, where)
        return result


@dataclass(frozen=True)
class ConstantProduct(Elementwise):
    """An array times a constant."""

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
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

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
        shape = part_shape(box)
        array = emitter.array(operands[0], shape)
        stored = None if self.count is None else emitter.reciprocal(self.count)
        if stored is None and abs(self.number) == _power_of_two(self.number):
            exponent = _exponent(self.number)
            if exponent != 0:
                array = emitter.emit(unnamed(operations.PowerOfTwo, 1, exponent=exponent), (array,), shape, where)
            if self.number < 0:
                array = emitter.emit(unnamed(operations.Sum, 1, signs=(-1,)), (array,), shape, where)
            return array
        if stored is None and self.count is not None:
            raise CaptureError(
                f"{where} cannot be captured: it divides by {self.count} in floating point, since the configuration "
                f"has no factor 'reciprocal.{self.count}'. Divide by a power of two, or add such a parameter to it."
            )
        factor = emitter.number(self.number) if stored is None else stored
        return emitter.emit(unnamed(operations.Scale, 1, factor=factor), (array,), shape, where)


@dataclass(frozen=True)
class Rounding(Elementwise):
    """What a layer takes, or a state keeps, in its format."""

    name: str
    to: ParameterQuantization
    finer_bits: int | None
    key: int

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
        shape = part_shape(box)
        array = emitter.array(operands[0], shape)
        rounding = unnamed(operations.Requantization, 1, to=self.to, finer_bits=self.finer_bits, key=self.key)
        return emitter.emit(rounding, (array,), shape, self.name)


@dataclass(frozen=True)
class Matrix:
    """A linear layer; operands are the array, weights [outputs, inputs], and perhaps a bias."""

    def boxes(self, computed: Computed, box: Box) -> tuple[Box | None, ...]:  # noqa: D102
        last = len(box) - 1
        free_box(computed, box, (last,))
        inputs = slice(0, computed.operands[0].shape[-1])
        return ((*box[:last], inputs), *(None for _ in computed.operands[1:]))

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
        shape = part_shape(box)
        array = emitter.array(operands[0], (*shape[:-1], operands[0].shape[-1]))
        names = [emitter.constant(origins, tuple(origins.shape)) for origins in operands[1:]]
        linear = unnamed(operations.Linear, 1, weight=names[0], bias=names[1] if len(names) > 1 else None)
        return emitter.emit(linear, (array,), shape, where)


@dataclass(frozen=True)
class Correlation:
    """A convolution over one dimension or two; operands as those of :class:`Matrix`."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    dimensions: int

    def boxes(self, computed: Computed, box: Box) -> tuple[Box | None, ...]:  # noqa: D102
        batch = len(box) - self.dimensions - 1
        free_box(computed, box, tuple(range(batch, len(box))))
        taken = whole(tuple(computed.operands[0].shape[batch:]))
        return ((*box[:batch], *taken), *(None for _ in computed.operands[1:]))

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
        shape, taken = (
            _one_image(shape_of(box), self.dimensions, where),
            _one_image(operands[0].shape, self.dimensions, where),
        )
        array = emitter.array(operands[0], _flat_image(taken))
        weight = emitter.constant(operands[1], _flat_image(tuple(operands[1].shape), 4))
        bias = emitter.constant(operands[2], tuple(operands[2].shape)) if len(operands) > 2 else None
        convolution = unnamed(
            operations.Convolution,
            1,
            weight=weight,
            bias=bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return emitter.emit(convolution, (array,), _flat_image(shape), where)


@dataclass(frozen=True)
class Windows:
    """The largest or the sum of each window of one dimension or two."""

    pool: operations.PoolKind
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dimensions: int

    def boxes(self, computed: Computed, box: Box) -> tuple[Box | None, ...]:  # noqa: D102
        rest = len(box) - self.dimensions
        free_box(computed, box, tuple(range(rest, len(box))))
        return ((*box[:rest], *whole(tuple(computed.operands[0].shape[rest:]))),)

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
        shape, taken = (_channels(tuple(one), self.dimensions) for one in (shape_of(box), operands[0].shape))
        array = emitter.array(operands[0], _flat_image(taken))
        shape = _flat_image(shape)
        pool = unnamed(
            operations.Pool,
            1,
            kind=self.pool,
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
            size=shape[1:],
        )
        return emitter.emit(pool, (array,), shape, where)


@dataclass(frozen=True)
class Reduction:
    """The sum, or the largest, over some dimensions, which are kept as ones."""

    pool: operations.PoolKind
    axes: tuple[int, ...]

    def boxes(self, computed: Computed, box: Box) -> tuple[Box | None, ...]:  # noqa: D102
        (origins,) = computed.operands
        return (tuple(slice(0, n) if axis in self.axes else box[axis] for axis, n in enumerate(origins.shape)),)

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
        (origins,) = operands
        axes = [axis for axis in self.axes if origins.shape[axis] > 1]
        result = emitter.array(origins, stripped(tuple(origins.shape)))
        taken = list(origins.shape)
        for axis in axes:
            before, count, after = prod(taken[:axis]), taken[axis], prod(taken[axis + 1 :])
            columns = emitter.reshaped(result, (before, count, after))
            window = (count, 1)
            pool = unnamed(
                operations.Pool, 1, kind=self.pool, kernel=window, stride=window, padding=(0, 0), size=(1, after)
            )
            result = emitter.emit(pool, (columns,), (before, 1, after), where)
            taken[axis] = 1
        return result


@dataclass(frozen=True)
class ChannelStep:
    """A scale and an offset per channel, rounded to an accumulator; operands: the array, scales and offsets.

    Args:
        axis: Dimension of the channels.
        fraction_bits: Of the accumulator.
        first_row: Of the scales at the first step, where each step has its own; None if all have one.
        steps_axis: Dimension of the steps, if there is one.
    """

    axis: int
    fraction_bits: int
    first_row: int | None
    steps_axis: int | None

    def boxes(self, computed: Computed, box: Box) -> tuple[Box | None, ...]:  # noqa: D102
        return (free_box(computed, box, (self.axis,)), *(None for _ in computed.operands[1:]))

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
        if self.first_row is not None:
            row = self.first_row + (0 if self.steps_axis is None else box[self.steps_axis].start)
            if row != emitter.step:
                raise CaptureError(f"{where} cannot be captured: step {emitter.step} takes the factors of step {row}.")
        shape = shape_of(box)
        kept = stripped(shape, len(shape) - self.axis)
        array = emitter.array(operands[0], kept)
        scale, offset = (emitter.constant(one, (1, *one.shape)[-2:]) for one in operands[1:])
        affine = unnamed(
            operations.Affine,
            1,
            scale=scale,
            offset=offset,
            axis=self.axis - (len(shape) - len(kept)),
            fraction_bits=self.fraction_bits,
        )
        return emitter.emit(affine, (array,), kept, where)


@dataclass(frozen=True)
class Preparation:
    """What is done with the input before it enters the fixed-point part: the host does it."""

    def boxes(self, computed: Computed, box: Box) -> tuple[Box | None, ...]:  # noqa: D102
        raise CaptureError(f"{computed.where} cannot be captured: it is no operation of integer models.")

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Part:  # noqa: D102
        raise CaptureError(f"{where} cannot be captured: it is no operation of integer models.")


def part_shape(box: Box) -> Shape:
    """Shape of an array of a box, samples and steps left out."""
    return stripped(shape_of(box))


def _aligned(origins: Tensor, shape: Shape) -> Shape:
    """Shape in which a constant broadcasts to an array; [1] of a single number."""
    return (1,) if origins.numel() == 1 else stripped(tuple(origins.shape))[-len(shape) :]


def _one_image(shape: Shape, dimensions: int, where: str) -> Shape:
    shape = tuple(shape)
    if prod(shape[: -dimensions - 1]) != 1:
        raise CaptureError(f"{where} cannot be captured: it convolves {prod(shape[: -dimensions - 1])} images a step.")
    return shape[-dimensions - 1 :]


def _channels(shape: Shape, dimensions: int) -> Shape:
    """All before the last dimensions in one."""
    return (prod(shape[: len(shape) - dimensions]), *shape[len(shape) - dimensions :])


def _flat_image(shape: Shape, length: int = 3) -> Shape:
    """With a height of 1, if there is none."""
    return shape if len(shape) == length else (*shape[:-1], 1, shape[-1])


def _power_of_two(number: float) -> float:
    return 2.0 ** _exponent(number) if number else 0.0


def _exponent(number: float) -> int:
    return frexp(abs(number))[1] - 1
