"""A network as a graph of operations, run once a time step."""

from __future__ import annotations

from dataclasses import dataclass

from qspinn_optuna.integer.codes import Codes
from qspinn_optuna.integer.node import Node
from qspinn_optuna.integer.operations import Operation

INPUT = "input"
"""Name of the array that the coding gives."""


@dataclass(frozen=True, eq=False)
class Constant(Node):
    """An array that does not change.

    Args:
        name: As the network names its parameter, such as "conv1.weight".
        codes: Its values.
    """

    name: str
    codes: Codes


@dataclass(frozen=True, eq=False)
class Graph(Node):
    """Operations in the order in which a step runs them.

    An operation reads :data:`INPUT` and results of operations before it; a :class:`~.operations.Delay` of any.

    Args:
        constants: All constants, each once, however many operations read it.
        operations: The operations.
    """

    constants: tuple[Constant, ...]
    operations: tuple[Operation, ...]
