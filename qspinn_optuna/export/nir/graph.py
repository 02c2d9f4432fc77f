"""A graph of primitives of NIR as a value: what a file of NIR holds, built without the package ``nir``.

NIR joins nodes by edges without weights, and adds up what arrives at a node. A sum of arrays needs no node, therefore:
an array of the network is a :class:`Signal`, nodes with a factor each, until a node takes it.

NIR has no node that splits a dimension, so that an array may have another shape in NIR than in the network, with its
values in the same order: once flat, it stays flat.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Shape = tuple[int, ...]

INPUT_NODE, OUTPUT_NODE = "input", "output"

MOST_WEIGHTS = 2**22
"""Weights of one node at most, where a matrix stands for an operation that NIR has no node for."""


@dataclass(frozen=True, eq=False)
class Primitive:
    """A node of NIR.

    Args:
        kind: Name of its class in the package ``nir``.
        parameters: What its constructor takes.
        shape: Of its result.
        operation: The operation of the network that it stands for, as JSON.
    """

    kind: str
    parameters: Mapping[str, Any]
    shape: Shape
    operation: str = ""


@dataclass(frozen=True, eq=False)
class PrimitiveGraph:
    """Nodes of NIR with their edges.

    Args:
        nodes: The nodes, by name.
        edges: From node to node.
        spikes: Names of the nodes whose spikes are those of a layer of the network, by the layer's name.
        deviations: What NIR cannot say of this network, one sentence each.
    """

    nodes: Mapping[str, Primitive]
    edges: tuple[tuple[str, str], ...]
    spikes: Mapping[str, str]
    deviations: tuple[str, ...]


@dataclass(frozen=True)
class Signal:
    """An array of the network as a sum of what nodes give.

    Args:
        terms: Factor of each node's result, by the node's name.
        shape: Of the results.
    """

    terms: Mapping[str, float]
    shape: Shape

    def times(self, factor: float) -> Signal:
        """The array times a number."""
        return replace(self, terms={name: factor * own for name, own in self.terms.items()})

    def __add__(self, other: Signal) -> Signal:
        terms = dict(self.terms)
        for name, factor in other.terms.items():
            terms[name] = terms.get(name, 0.0) + factor
        return replace(self, terms=terms)


@dataclass
class GraphBuilder:
    """A graph that grows node by node."""

    nodes: dict[str, Primitive] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    spikes: dict[str, str] = field(default_factory=dict)
    deviations: list[str] = field(default_factory=list)

    def input(self, shape: Shape, operation: str) -> Signal:
        """The node of the input."""
        shape = shape or (1,)
        self.nodes[INPUT_NODE] = Primitive("Input", {"input_type": {"input": np.array(shape)}}, shape, operation)
        return Signal({INPUT_NODE: 1.0}, shape)

    def output(self, x: Signal, operation: str) -> None:
        """The node of the output."""
        self.nodes[OUTPUT_NODE] = Primitive(
            "Output", {"output_type": {"output": np.array(x.shape)}}, x.shape, operation
        )
        self.connect(x, OUTPUT_NODE)

    def add(
        self,
        name: str,
        kind: str,
        parameters: Mapping[str, Any],
        x: Signal | None,
        shape: Shape | None = None,
        operation: str = "",
    ) -> Signal:
        """A node that takes an array.

        Args:
            name: What the node shall be called; a number is appended if another is.
            kind: Of the node.
            parameters: Of the node.
            x: The array; None if it is connected later.
            shape: Of the result; that of the array if not given.
            operation: What it stands for.
        """
        if shape is None:
            assert x is not None
            shape = x.shape
        node = self._free_name(name)
        self.nodes[node] = Primitive(kind, parameters, shape, operation)
        if x is not None:
            self.connect(x, node)
        return Signal({node: 1.0}, shape)

    def connect(self, x: Signal, node: str) -> None:
        """Edges from an array to a node. Factors other than 1 take a node each."""
        for name, factor in x.terms.items():
            source = name
            if factor != 1:
                scale = {"scale": stored(name, np.full(x.shape, factor))}
                (source,) = self.add(f"{name}_scaled", "Scale", scale, Signal({name: 1.0}, x.shape)).terms
            self.edges.append((source, node))

    def flat(self, x: Signal) -> Signal:
        """An array in one dimension."""
        return self.flattened(x, len(x.shape))

    def flattened(self, x: Signal, dimensions: int) -> Signal:
        """An array with its first dimensions made one."""
        if dimensions == 1:
            return x
        shape = (prod(x.shape[:dimensions]), *x.shape[dimensions:])
        parameters = {"input_type": {"input": np.array(x.shape)}, "start_dim": 0, "end_dim": dimensions - 1}
        return self.add(f"{next(iter(x.terms))}_flat", "Flatten", parameters, x, shape)

    def graph(self) -> PrimitiveGraph:
        """What was built."""
        return PrimitiveGraph(self.nodes, tuple(self.edges), self.spikes, tuple(self.deviations))

    def _free_name(self, name: str) -> str:
        """A name without what HDF5 or readers take for a path."""
        base = re.sub(r"\W", "_", name, flags=re.ASCII)
        free, number = base, 1
        while free in self.nodes or free in (INPUT_NODE, OUTPUT_NODE):
            number += 1
            free = f"{base}_{number}"
        return free


def stored(name: str, values: ArrayLike) -> NDArray[np.float32]:
    """Numbers as a file holds them, float32. That is exact for codes of any format.

    Raises:
        ValueError: If one of them is beyond what float32 holds.
    """
    exact = np.asarray(values, np.float64)
    with np.errstate(over="ignore", under="ignore"):
        result = exact.astype(np.float32)
    if not np.isfinite(result).all() or ((result == 0) != (exact == 0)).any():
        raise ValueError(f"numbers of {name!r} must be within the range of float32 for NIR, got up to {exact!r}.")
    return result


def check_weights(name: str, count: int) -> None:
    """Refuse a node of too many weights.

    Raises:
        ValueError: If there are too many.
    """
    if count > MOST_WEIGHTS:
        raise ValueError(
            f"operation {name!r} has no node in NIR, and as a matrix it would have {count:,} weights, more than "
            f"{MOST_WEIGHTS:,}: a NIR graph cannot hold it."
        )
