"""Accumulators to codes; stochastic rounding draws by key, see :mod:`~qspinn_optuna.fixed_point.draws`."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point.draws import draws, streams_of_layer
from qspinn_optuna.fixed_point.integer_rounding import DRAW_BITS, STOCHASTIC, CodeRounding, round_codes

_UPPER_HALF = np.uint64(64 - DRAW_BITS)
_NO_BITS = np.zeros(1, np.uint64)


def stored(
    accumulators: NDArray[np.int64], to: CodeRounding, key: int, samples: NDArray[np.int64], step: int
) -> NDArray[np.int64]:
    """Codes of accumulators, rounded and saturated.

    Args:
        accumulators: Of every sample, [samples, ...].
        to: Rounding, and the range of the codes.
        key: Of the draws: the constant of seed and layer.
        samples: Their numbers, [samples].
        step: Number of the step, from 0 at the start of a sample.
    """
    bits = _NO_BITS
    if to.rounding == STOCHASTIC:
        bits = rounding_bits(key, samples, step, accumulators.shape[1:])
    return round_codes(accumulators, to, bits)


def rounding_bits(key: int, samples: NDArray[np.int64], step: int, shape: tuple[int, ...]) -> NDArray[np.uint64]:
    """Draws of 32 bits for every element of an array of each sample, uint64 [samples, *shape], numbered in C order."""
    streams = streams_of_layer(key, samples, step)
    table = draws(streams[:, None], np.arange(prod(shape))) >> _UPPER_HALF
    return table.reshape(len(samples), *shape)
