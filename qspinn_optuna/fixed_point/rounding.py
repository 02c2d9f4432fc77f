"""The three roundings of the Q-SpiNN search."""

from __future__ import annotations

from qspinn_optuna.vocabulary import Vocabulary


class Rounding(Vocabulary):
    """How a value between two grid points is put on one of them.

    Every rounding saturates at the ends of the format, and none of them moves a value that is on the grid.

    Example:
        >>> x = torch.tensor([0.3, -0.3])
        >>> quantize(x, QFormat(0, 3), Rounding.TRUNCATION)
        tensor([ 0.2500, -0.3750])
        >>> quantize(x, QFormat(0, 3), Rounding.NEAREST)
        tensor([ 0.2500, -0.2500])
    """

    TRUNCATION = "truncation"
    """Toward minus infinity: what two's-complement hardware does when it drops bits."""

    NEAREST = "nearest"
    """To the nearest grid point, ties toward plus infinity: add half a step, then drop bits."""

    STOCHASTIC = "stochastic"
    """Up with a probability equal to the dropped fraction, so that the mean is kept: add a uniform draw in
    [0, 1) of a step, then drop bits."""
