"""Kinds that compute with several elements: layers, pools, sums over dimensions, and normalization."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import Tensor

from qspinn_optuna.integer import operations
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.kinds import Emitter, free_box, unnamed
from qspinn_optuna.networks.capture.sources import Source
from qspinn_optuna.networks.capture.symbols import Box, Computed, Shape, part_shape, shape_of, stripped, whole


@dataclass(frozen=True)
class Matrix:
    """A linear layer; operands are the array, weights [outputs, inputs], and perhaps a bias."""

    def boxes(self, computed: Computed, box: Box) -> tuple[Box | None, ...]:  # noqa: D102
        last = len(box) - 1
        free_box(computed, box, (last,))
        inputs = slice(0, computed.operands[0].shape[-1])
        return ((*box[:last], inputs), *(None for _ in computed.operands[1:]))

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:  # noqa: D102
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

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:  # noqa: D102
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

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:  # noqa: D102
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

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:  # noqa: ARG002, D102
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
    """A scale and an offset per channel, rounded to an accumulator; operands: the array, scales, perhaps offsets.

    Args:
        axis: Dimension of the channels.
        fraction_bits: Of the accumulator.
        first_row: Of the scales at the first step, where each step has its own; None if all have one.
        steps_axis: Dimension of the steps, if there is one.
        shifts: Whether the scales are exponents of powers of two.
    """

    axis: int
    fraction_bits: int
    first_row: int | None = None
    steps_axis: int | None = None
    shifts: bool = False

    def boxes(self, computed: Computed, box: Box) -> tuple[Box | None, ...]:  # noqa: D102
        return (free_box(computed, box, (self.axis,)), *(None for _ in computed.operands[1:]))

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:  # noqa: D102
        if self.first_row is not None:
            row = self.first_row + (0 if self.steps_axis is None else box[self.steps_axis].start)
            if row != emitter.step:
                raise CaptureError(f"{where} cannot be captured: step {emitter.step} takes the factors of step {row}.")
        shape = shape_of(box)
        kept = stripped(shape, len(shape) - self.axis)
        array = emitter.array(operands[0], kept)
        names = [emitter.constant(one, (1, *one.shape)[-2:]) for one in operands[1:]]
        affine = unnamed(
            operations.Affine,
            1,
            scale=names[0],
            offset=names[1] if len(names) > 1 else None,
            axis=self.axis - (len(shape) - len(kept)),
            fraction_bits=self.fraction_bits,
            shifts=self.shifts,
        )
        return emitter.emit(affine, (array,), kept, where)


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
