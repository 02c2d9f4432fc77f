"""What a kind of network brings to the program around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.export.packing import PackedArray


class Member(NamedTuple):
    """A member of the struct of the state.

    Args:
        name: In C.
        purpose: What it is for.
        bits: Bits of it that the footprint counts; 0 if it counts none.
    """

    name: str
    purpose: str
    bits: int


class Trace(NamedTuple):
    """What the interpreter sees of one sample.

    Args:
        values: Spikes and membranes after each step, in the order of ``snn_observe``, int32 [steps, values].
        answer: The class.
    """

    values: NDArray[np.int32]
    answer: int


@dataclass(frozen=True)
class Program:
    """A network as C, without what all kinds of networks share.

    Args:
        summary: The network in a line.
        inputs: Values of a sample.
        stride: Values by which a step's input follows that of the step before; 0 if all steps see the same.
        input_type: Type of the values in C.
        input_dtype: The same in numpy.
        input_range: Smallest and largest value that the network takes.
        input_bits: Bits of the input that the footprint counts, and that are not in the state.
        steps: Steps of a sample.
        classes: Classes.
        declarations: For model.h: the struct ``snn_state``, and constants.
        source: For model.c: ``snn_reset``, ``snn_step``, ``snn_answer`` and ``snn_observe``.
        arrays: Constant arrays that ``source`` defines.
        inline_bits: Bits of constants that the footprint counts and that are part of the code.
        members: Members of the state, in their order.
        values: How many values ``snn_observe`` shows.
        name_of_value: What the value with a number is, in words.
        traces: The interpreter on samples from a number on.
        unpacks: Whether ``source`` compiled with ``SNN_UNPACKED`` computes the same in the way of a computer: faster,
            with constants unpacked in RAM.
    """

    summary: str
    inputs: int
    stride: int
    input_type: str
    input_dtype: type[np.integer]
    input_range: tuple[int, int]
    input_bits: int
    steps: int
    classes: int
    declarations: str
    source: str
    arrays: tuple[PackedArray, ...]
    inline_bits: int
    members: tuple[Member, ...]
    values: int
    name_of_value: Callable[[int], str]
    traces: Callable[[NDArray[np.integer], int], Iterator[Trace]]
    unpacks: bool = False
