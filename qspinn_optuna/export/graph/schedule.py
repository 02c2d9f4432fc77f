"""What a step of a graph computes, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

from qspinn_optuna.integer import Graph, IntegerModel, LargestScore
from qspinn_optuna.integer.operations import (
    Convolution,
    Delay,
    IntegrateAndFire,
    Operation,
    PowerOfTwo,
    Reshape,
)


@dataclass(frozen=True)
class Schedule:
    """The order of a graph.

    Args:
        model: The graph.
    """

    model: IntegerModel

    @property
    def graph(self) -> Graph:
        """The operations."""
        return cast(Graph, self.model.network)

    @property
    def readout(self) -> LargestScore:
        """Of the scores."""
        return cast(LargestScore, self.model.readout)

    def root(self, name: str) -> str:
        """The array whose codes an array has: a change of shape, or of the grid, is none of codes."""
        while name in self._aliases:
            name = self._aliases[name]
        return name

    @property
    def scores(self) -> str:
        """The array of the scores."""
        return self.root(self.readout.source)

    @cached_property
    def order(self) -> tuple[Operation, ...]:
        """The operations that a step computes, in turn. A convolution that neurons alone take is left to them."""
        fused = {convolution.name for convolution in self.convolutions.values()}
        return tuple(
            operation
            for operation in self.graph.operations
            if operation.name in self._needed and operation.name not in fused and operation.name not in self._aliases
        )

    @cached_property
    def convolutions(self) -> dict[str, Convolution]:
        """Convolutions that neurons alone take, by the name of the neurons: computed filter by filter, with them."""
        found = {}
        for operation in self.operations.values():
            readers = self.readers.get(operation.name, [])
            if isinstance(operation, Convolution) and len(readers) == 1 and operation.name != self.scores:
                (reader,) = readers
                if isinstance(reader, IntegrateAndFire):
                    found[reader.name] = operation
        return found

    @property
    def delays(self) -> list[Delay]:
        """Arrays that are kept until the next step, in the order in which they may be overwritten."""
        left = {operation.name: operation for operation in self.order if isinstance(operation, Delay)}
        ordered: list[Delay] = []
        while left:
            # One that another takes must be taken first. Those that take each other in turn are 0 for ever.
            taken = {self.root(delay.sources[0]) for delay in left.values()}
            free = [name for name in left if name not in taken] or list(left)[:1]
            ordered += [left.pop(name) for name in free]
        return ordered

    @cached_property
    def operations(self) -> dict[str, Operation]:
        """The operations that are needed, by name."""
        return {name: operation for name, operation in self._all.items() if name in self._needed}

    @cached_property
    def readers(self) -> dict[str, list[Operation]]:
        """The operations that read each array, or one with its codes."""
        found: dict[str, list[Operation]] = {}
        for operation in self.operations.values():
            if operation.name not in self._aliases:
                for source in {self.root(source) for source in operation.sources}:
                    found.setdefault(source, []).append(operation)
        return found

    @cached_property
    def _all(self) -> dict[str, Operation]:
        return {operation.name: operation for operation in self.graph.operations}

    @cached_property
    def _aliases(self) -> dict[str, str]:
        return {
            operation.name: operation.sources[0]
            for operation in self.graph.operations
            if isinstance(operation, Reshape | PowerOfTwo)
        }

    @cached_property
    def _needed(self) -> set[str]:
        """Operations that neurons or the readout depend on: nobody sees the others."""
        makers = dict(self._all)
        makers |= {
            operation.membrane_name: operation
            for operation in self._all.values()
            if isinstance(operation, IntegrateAndFire)
        }
        found: set[str] = set()
        pending = [operation.name for operation in self._all.values() if isinstance(operation, IntegrateAndFire)]
        pending.append(self.readout.source)
        while pending:
            name = pending.pop()
            if name in makers and makers[name].name not in found:
                found.add(makers[name].name)
                pending += makers[name].sources
        return found
