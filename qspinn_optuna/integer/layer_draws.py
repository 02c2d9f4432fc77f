"""Draws of the layers of a graph: each has a key of its own."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point.draws import draws
from qspinn_optuna.fixed_point.integer_rounding import DRAW_BITS

_UPPER_HALF = np.uint64(64 - DRAW_BITS)


def rounding_bits(key: int, samples: NDArray[np.int64], step: int, shape: tuple[int, ...]) -> NDArray[np.uint64]:
    """Draws of 32 bits for every element of an array of each sample.

    Sample, step and element count from a key in turn: ``mix(key + sample * G)`` keys the steps of a sample,
    ``mix(... + step * G)`` the elements of a step, and the upper half of ``mix(... + element * G)`` is a draw. Elements
    are numbered in C order.

    Args:
        key: Of the layer.
        samples: Their numbers, [samples].
        step: Number of the step, from 0 at the start of a sample.
        shape: Of the array of one sample.

    Returns:
        uint64 [samples, *shape].
    """
    streams = draws(draws(np.array([key], np.uint64), samples), step)
    table = draws(streams[:, None], np.arange(prod(shape))) >> _UPPER_HALF
    return table.reshape(len(samples), *shape)
