"""What operations of a time step read: results of others, what enters, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qspinn_optuna.integer import operations
from qspinn_optuna.networks.capture.symbols import Box, Shape, Symbol, part_shape


@dataclass(eq=False)
class Emitted:
    """An operation of a time step.

    Args:
        step: The step.
        operation: The operation, without its name and those of its sources.
        sources: What it reads.
        shape: Of its result.
        where: What it stands for, for names and errors.
    """

    step: int
    operation: operations.Operation
    sources: tuple[Source, ...]
    shape: Shape
    where: str


@dataclass(frozen=True, eq=False)
class Result:
    """The result of an operation, or the membranes of neurons."""

    emitted: Emitted
    membranes: bool = False

    @property
    def shape(self) -> Shape:
        """Its shape."""
        return self.emitted.shape


@dataclass(frozen=True, eq=False)
class Arrival:
    """A part of what enters the network.

    Args:
        symbol: What enters.
        box: The part.
    """

    symbol: Symbol
    box: Box

    @property
    def shape(self) -> Shape:
        """Its shape."""
        return part_shape(self.box)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for equal parts."""
        return self.symbol.first, *((part.start, part.stop) for part in self.box)


@dataclass(frozen=True)
class Zeros:
    """Nothing, as there is before the first step."""

    shape: Shape


Source = Result | Arrival | Zeros
