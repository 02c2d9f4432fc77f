"""What recorded functions compute: which part of their operands a part of their result needs, and as which operation.

A run computes many time steps in one call, a device one step at a time. A result is therefore taken apart into boxes,
ranges along its dimensions, and each kind says which boxes of its operands it takes for one of them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from torch import Tensor

from qspinn_optuna.integer import operations
from qspinn_optuna.networks.capture.errors import CaptureError
from qspinn_optuna.networks.capture.sources import Source
from qspinn_optuna.networks.capture.symbols import Box, Computed, Shape


class Emitter(Protocol):
    """Makes operations of one time step."""

    step: int

    def array(self, origins: Tensor, shape: Shape) -> Source:
        """The array of the given elements, in a shape."""
        ...

    def reshaped(self, array: Source, shape: Shape) -> Source:
        """An array in another shape."""
        ...

    def constant(self, origins: Tensor, shape: Shape) -> str:
        """Name of a constant of the given elements, in a shape."""
        ...

    def number(self, value: float) -> str:
        """Name of a constant of one number, which must be on a grid, unless :meth:`before_rounding`."""
        ...

    def before_rounding(self) -> AbstractContextManager[None]:
        """A context in which what is made is rounded to a grid next, so that numbers may be as float32 has them."""
        ...

    @property
    def rounds_next(self) -> bool:
        """Whether what is made is rounded next."""
        ...

    def reciprocal(self, count: int) -> str | None:
        """Name of the stored factor 1 / ``count``; None if there is none."""
        ...

    def emit(self, operation: operations.Operation, sources: tuple[Source, ...], shape: Shape, where: str) -> Source:
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

    def emit(self, emitter: Emitter, operands: tuple[Tensor, ...], box: Box, where: str) -> Source:
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
