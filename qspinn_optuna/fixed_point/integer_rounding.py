"""The contract of integer rounding: shift, round, saturate.

An accumulator holds a value with ``drop`` more bits after its binary point than the code that is to be stored. The
step is ``2**drop``, and the code is

- truncation: ``accumulator >> drop``, which is floor,
- nearest: ``(accumulator + 2**(drop - 1)) >> drop``, so that ties go up; without dropped bits nothing is added,
- stochastic: ``(accumulator + r) >> drop``, where r is a uniform draw of 32 bits, read as a fraction of the step: its
  upper ``drop`` bits, or, of steps of more than 32 bits, the draw with zeros below it,

and last of all it is saturated to ``lowest`` and ``highest``. ``>>`` is the arithmetic shift of two's complement. An
accumulator whose dropped bits are all 0 is on the grid, and no rounding moves it. The sum must fit 64 bits: ``drop`` is
at most 62, and an accumulator stays below ``2**62`` in magnitude.

Codes of a mid-rise grid are odd. The step between two of them is twice as wide, ``2**(drop + 1)``, and begins at an odd
code: of the accumulator less ``2**drop``, one more bit is dropped in the same way, and k becomes the code
``2 * k + 1``. To nearest, that is to drop the bits and to set the lowest of those that stay.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from qspinn_optuna.fixed_point.rounding import Rounding

# Roundings by number, as kernels know them.
TRUNCATION = 1
NEAREST = 2
STOCHASTIC = 3

ROUNDING_NUMBERS = {Rounding.TRUNCATION: TRUNCATION, Rounding.NEAREST: NEAREST, Rounding.STOCHASTIC: STOCHASTIC}

DRAW_BITS = 32
"""Bits of a draw of stochastic rounding: the upper half of what :mod:`~qspinn_optuna.fixed_point.draws` gives."""

MAX_DROP = 62
"""Most bits that can be dropped; one less where codes are odd."""


class CodeRounding(NamedTuple):
    """How an accumulator becomes a code.

    Args:
        drop: Bits that are dropped, 0-62.
        rounding: Number of the rounding.
        lowest: Smallest code.
        highest: Largest code.
        odd: 1 if codes are odd, as those of a mid-rise grid are, else 0.
    """

    drop: int
    rounding: int
    lowest: int
    highest: int
    odd: int = 0


@njit(cache=True)
def round_code(accumulator: int, to: CodeRounding, bits: int) -> int:
    """The code of an accumulator; ``bits`` is a draw of 32 bits, which only stochastic rounding uses."""
    drop = to.drop + to.odd
    accumulator -= to.odd << to.drop
    if to.rounding == NEAREST:
        accumulator += (1 << drop) >> 1
    elif to.rounding == STOCHASTIC:
        accumulator += bits >> (DRAW_BITS - drop) if drop <= DRAW_BITS else bits << (drop - DRAW_BITS)
    return min(max((accumulator >> drop << to.odd) + to.odd, to.lowest), to.highest)


def round_codes(accumulators: NDArray[np.int64], to: CodeRounding, bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The codes of an array of accumulators; ``bits`` are draws of 32 bits, of any shape unless they are used."""
    drop = to.drop + to.odd
    shifted = accumulators - (to.odd << to.drop)
    if to.rounding == NEAREST:
        shifted = shifted + ((1 << drop) >> 1)
    elif to.rounding == STOCHASTIC:
        draws = bits.astype(np.int64)
        shifted = shifted + (draws >> (DRAW_BITS - drop) if drop <= DRAW_BITS else draws << (drop - DRAW_BITS))
    codes: NDArray[np.int64] = np.clip((shifted >> drop << to.odd) + to.odd, to.lowest, to.highest)
    return codes
