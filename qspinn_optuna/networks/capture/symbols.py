"""Arrays of a run by the numbers of their elements, which say where an element of any tensor comes from.

A network moves elements about: it reshapes, transposes, repeats, stacks, cuts and joins tensors. All of this is one
thing here, a tensor of element numbers of the same shape, to which torch does what it does to the values. What computes
gives new elements, those of a symbol.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qspinn_optuna.fixed_point import ParameterQuantization

if TYPE_CHECKING:
    from qspinn_optuna.networks.capture.kinds import Kind

Shape = tuple[int, ...]

Box = tuple[slice, ...]
"""A range along each dimension of an array."""


@dataclass(eq=False)
class Symbol:
    """An array of a run.

    Args:
        shape: Of the tensor.
        where: Module and function that gave it, for errors.
    """

    shape: tuple[int, ...]
    where: str
    first: int = field(default=-1, init=False)
    """Number of its first element."""

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def origins(self) -> Tensor:
        """Numbers of its elements, of its shape."""
        return torch.arange(self.first, self.first + self.elements).reshape(self.shape)


@dataclass(eq=False)
class Entered(Symbol):
    """What enters the network from outside.

    Args:
        values: The values.
        name: Of the parameter that rounds it; None if nothing does.
        quantization: Its format and rounding; None if nothing rounds it.
        key: Of the draws of stochastic rounding.
    """

    values: Tensor
    name: str | None = None
    quantization: ParameterQuantization | None = None
    key: int = 0


@dataclass(eq=False)
class Known(Symbol):
    """What does not depend on the input.

    Args:
        values: The values.
        name: Of the parameter; None if it is none.
    """

    values: Tensor
    name: str | None = None


@dataclass(eq=False)
class Prepared(Symbol):
    """What the host computes of the input before it enters the fixed-point part of the network.

    Args:
        values: The values.
    """

    values: Tensor


@dataclass(eq=False)
class Stepped(Symbol):
    """Spikes or membranes of neurons, over the steps of a call.

    Args:
        module: Name of the neurons.
        step: First time step.
        several: Whether the first dimension counts time steps.
        membranes: Whether they are the membranes.
    """

    module: str
    step: int
    several: bool
    membranes: bool


@dataclass(eq=False)
class Computed(Symbol):
    """What a function computes.

    Args:
        kind: What it does.
        operands: Origins of what it reads.
        values: What came out, of the captured sample.
    """

    kind: Kind
    operands: tuple[Tensor, ...]
    values: Tensor


class Symbols:
    """The symbols of a run, in the order in which they were made."""

    def __init__(self) -> None:
        self._all: list[Symbol] = []
        self._firsts: list[int] = []
        self._next = 0

    def add(self, symbol: Symbol) -> Tensor:
        """Number the elements of a symbol; its origins."""
        symbol.first = self._next
        self._all.append(symbol)
        self._firsts.append(self._next)
        self._next += symbol.elements
        return symbol.origins

    def of(self, element: int) -> Symbol:
        """The symbol of an element."""
        return self._all[bisect_right(self._firsts, element) - 1]

    def only(self, origins: Tensor) -> Symbol | None:
        """The symbol of all elements; None if they are of several."""
        low, high = (int(end) for end in torch.aminmax(origins))
        symbol = self.of(low)
        return symbol if high < symbol.first + symbol.elements else None

    def among(self, origins: Tensor) -> Iterator[Symbol]:
        """The symbols of some elements, each once."""
        symbol = self.only(origins) if origins.numel() else None
        if symbol is not None:  # As mostly, and seen much faster.
            yield symbol
            return
        firsts = torch.tensor(self._firsts)
        for number in torch.unique(torch.bucketize(origins.flatten(), firsts, right=True) - 1).tolist():
            yield self._all[number]

    def position(self, symbol: Symbol) -> int:
        """How many symbols were made before one."""
        return bisect_right(self._firsts, symbol.first) - 1

    def at(self, position: int) -> Symbol | None:
        """The symbol before which so many were made; None if there are not so many."""
        return self._all[position] if position < len(self._all) else None

    def indices(self, origins: Tensor) -> Tensor:
        """Number of the symbol of each element."""
        return torch.bucketize(origins, torch.tensor(self._firsts), right=True) - 1


def box_of(symbol: Symbol, origins: Tensor) -> Box | None:
    """The part of a symbol that has the given elements and no others; None if there is none."""
    positions = (origins - symbol.first).flatten()
    box = []
    for length, stride in zip(symbol.shape, strides(symbol.shape), strict=True):
        coordinates = positions.div(stride, rounding_mode="floor") % length
        low, high = (int(end) for end in torch.aminmax(coordinates))
        box.append(slice(low, high + 1))
    return tuple(box) if prod(shape_of(tuple(box))) == len(torch.unique(positions)) else None


def shape_of(box: Box) -> tuple[int, ...]:
    """Length of the ranges."""
    return tuple(part.stop - part.start for part in box)


def whole(shape: tuple[int, ...]) -> Box:
    """All of an array."""
    return tuple(slice(0, length) for length in shape)


def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Distance of neighbours along each dimension, in C order."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def stripped(shape: Shape, least: int = 1) -> Shape:
    """A shape without the ones that it begins with: samples, and steps; at least so many dimensions are left."""
    while len(shape) > least and shape[0] == 1:
        shape = shape[1:]
    return shape


def part_shape(box: Box) -> Shape:
    """Shape of an array of a box, samples and steps left out."""
    return stripped(shape_of(box))
