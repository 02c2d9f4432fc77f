"""Input currents: sums of the weights of the inputs that spike, for the steps of a window at a time.

Weights are kept in blocks of neurons, [blocks, inputs, row], a row being the weights of up to LANES neurons and some
padding. The rows of a block that a window needs stay in the second-level cache while they are added. Every current is
the sum over the inputs of its step, in their order, so neither blocks nor windows change a bit of it.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 1024
"""Neurons of a block."""

_PADDING = 16
"""Weights behind each row, of nobody: rows a power of two apart would leave a column few places in the cache."""

WINDOW = 25
"""Steps of a window."""

_Number = TypeVar("_Number", bound=np.generic)


def to_blocks(weights: NDArray[_Number]) -> NDArray[_Number]:
    """Weights [inputs, neurons] as blocks [blocks, inputs, row]."""
    inputs, neurons = weights.shape
    blocks = np.zeros((-(-neurons // LANES), inputs, min(neurons, LANES) + _PADDING), weights.dtype)
    for block, first in zip(blocks, range(0, neurons, LANES), strict=True):
        part = weights[:, first : first + LANES]
        block[:, : part.shape[1]] = part
    return blocks


def from_blocks(blocks: NDArray[_Number], neurons: int) -> NDArray[_Number]:
    """The inverse of :func:`to_blocks`: a copy, [inputs, neurons]."""
    weights = np.empty((blocks.shape[1], neurons), blocks.dtype)
    for block, first in zip(blocks, range(0, neurons, LANES), strict=True):
        part = weights[:, first : first + LANES]
        part[:] = block[:, : part.shape[1]]
    return weights


def room_for_currents(blocks: NDArray[np.generic], neurons: int) -> NDArray[Any]:
    """Room for the currents of a window: float32 [WINDOW, neurons], or int32 if the weights are codes."""
    return np.empty((WINDOW, neurons), np.float32 if blocks.dtype.kind == "f" else np.int32)


@njit(cache=True)
def sum_window(
    inputs: NDArray[np.uint16],
    starts: NDArray[np.int64],
    first: int,
    last: int,
    blocks: NDArray[np.generic],
    currents: NDArray[np.generic],
) -> None:
    """Fill the currents of all neurons at the steps from ``first`` up to ``last``, which is not among them."""
    for b in range(len(blocks)):
        # NOTE: plain indices, since a view of every row would take longer than its addition.
        o = b * LANES
        width = min(LANES, currents.shape[1] - o)
        for t in range(first, last):
            step = t - first
            for j in range(width):
                currents[step, o + j] = 0
            whole = starts[t] + (starts[t + 1] - starts[t]) // 4 * 4
            # NOTE: four rows at a time, since loading and storing the sum would take longer than the additions.
            for e in range(starts[t], whole, 4):
                i_0, i_1, i_2, i_3 = inputs[e], inputs[e + 1], inputs[e + 2], inputs[e + 3]
                for j in range(width):
                    sum_2 = (currents[step, o + j] + blocks[b, i_0, j]) + blocks[b, i_1, j]
                    currents[step, o + j] = (sum_2 + blocks[b, i_2, j]) + blocks[b, i_3, j]
            for e in range(whole, starts[t + 1]):
                i = inputs[e]
                for j in range(width):
                    currents[step, o + j] += blocks[b, i, j]


@njit(cache=True)
def sum_neuron(
    inputs: NDArray[np.uint16],
    starts: NDArray[np.int64],
    first: int,
    last: int,
    column: NDArray[np.generic],
    currents: NDArray[np.generic],
) -> None:
    """Fill the currents of one neuron, of whose weights ``column`` are, at the steps from ``first`` up to ``last``."""
    for t in range(first, last):
        currents[t - first] = 0
        for i in inputs[starts[t] : starts[t + 1]]:
            currents[t - first] += column[i]
