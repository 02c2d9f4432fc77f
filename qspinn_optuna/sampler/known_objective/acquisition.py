"""The acquisition function: the hypervolume that a configuration is expected to add to the front of a study."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .grid import Rows
from .improvement import expected_hypervolume_improvement
from .observations import Observations
from .surrogate import Surrogate

Floats = NDArray[np.float64]

Cost = Callable[[Rows], Floats]
"""The known cost of rows, to be minimized: [rows, dimensions] -> [rows]."""

_SHARE_OF_NOISE = 0.7
"""Share of its noise that a member counts as its own uncertainty: the members differ by the rest of the uncertainty."""


_BLOCK = 64
"""Rows that are evaluated at once."""


class Acquisition:
    """Expected hypervolume improvement, averaged over the members of the surrogate's ensemble.

    The average keeps what makes the members differ: a member that expects a plateau to begin two steps lower expects
    much there, and only there. One normal distribution with the mean and the spread of all members would expect a
    little everywhere.

    A configuration counts as far as it is likely to be intact and to keep the modelled constraints, and not at all if
    it costs more than is allowed. Pending configurations belong to the front with the gains that are expected of them,
    so that workers do not crowd.

    Args:
        surrogate: Models that are fitted to the observations.
        observations: The study.
        cost: The known cost of rows.
        reference_cost: The cost that a configuration must be under to count.
        doubt: What every gain is taken to be uncertain by at least, as a share of the range of the observed gains: a
            standard deviation.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        observations: Observations,
        cost: Cost,
        reference_cost: float,
        *,
        doubt: float = 0.0,
    ) -> None:
        self._surrogate = surrogate
        self._least_deviation = doubt * float(np.ptp(observations.gains))
        self._cost = cost
        self._reference = (reference_cost, observations.reference_gain)
        self._largest_cost = observations.largest_cost
        self._front = self._expected_front(observations)

    def __call__(self, rows: Rows) -> Floats:
        """The hypervolume that each row is expected to add, [rows]."""
        blocks = [self._expected(rows[first : first + _BLOCK]) for first in range(0, len(rows), _BLOCK)]
        return np.concatenate(blocks) if blocks else np.zeros(0)

    def _expected(self, rows: Rows) -> Floats:
        """The same of rows of which there are few: memory grows with rows times members times points."""
        costs = self._cost(rows)
        improvement = expected_hypervolume_improvement(
            costs,
            self._surrogate.gain(rows),
            np.maximum(_SHARE_OF_NOISE * self._surrogate.noise, self._least_deviation),
            self._front,
            self._reference,
        )
        expected: Floats = (improvement * self._surrogate.intact(rows)).mean(axis=0)
        return expected * (costs <= self._largest_cost) * self._surrogate.feasibility(rows)

    def _expected_front(self, observations: Observations) -> tuple[Floats, Floats]:
        """Costs and gains of the front and of pending configurations, [points] each."""
        front, pending = observations.front, observations.pending
        if len(pending) == 0:
            return front.costs, front.gains
        intact = self._surrogate.intact(pending)
        collapsed = (1 - intact) * observations.gains.min()
        expected = (intact * self._surrogate.gain(pending) + collapsed).mean(axis=0)
        return np.append(front.costs, self._cost(pending)), np.append(front.gains, expected)
