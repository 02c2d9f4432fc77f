"""Where the values of a format lie: with a zero, or on both sides of it."""

from __future__ import annotations

from qspinn_optuna.vocabulary import Vocabulary


class GridKind(Vocabulary):
    """The two uniform quantizers (Gersho 1978, https://doi.org/10.1109/TCOM.1978.1094167).

    Example:
        >>> QFormat.covering(-1, 1, bits=1, grid=GridKind.MID_RISE).max
        0.5
    """

    MID_TREAD = "mid-tread"
    """Multiples of a step: 0 is one of them, and a signed format has one value more below it than above."""

    MID_RISE = "mid-rise"
    """Odd multiples of half a step: no 0, and as many values below it as above, {-1/2, +1/2} steps at one bit."""
