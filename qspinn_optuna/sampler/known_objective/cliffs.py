"""Cliffs: where an objective collapses because one dimension has outgrown another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SPARED = 0.01
"""Probability that a point beyond an edge is intact."""

_UNEXPLAINED = 0.01
"""Probability that a point collapses which is beyond no edge: a single one does not make an edge certain."""

_EXPECTED = 0.1
"""Number of edges that are expected before there are data, over all pairs."""

_MOST_BEYOND = 4
"""Edges that a point is counted to be beyond at most: beyond so many it is certain to collapse."""

_SWEEPS = 4
"""Sweeps of Gibbs sampling for each :meth:`Cliffs.sample`."""

_VISITED = 100
"""Pairs that a sweep visits: all that have an edge, and others at random."""


class Cliffs:
    """Posterior samples of cliffs: for every ordered pair of dimensions, an edge beyond which values collapse.

    An accumulator overflows when its addends have more bits than it; the network then guesses, however fine the rest
    is. A product of rising curves cannot follow that. Here a pair (i, j) may have an edge, and a point is beyond it if

        x_i - x_j > edge_ij.

    A point is intact with the probability spared ** (number of edges it is beyond). Before there are data, an edge is
    equally likely anywhere in the range of the difference, and most pairs have none. Edges are drawn by Gibbs sampling
    (Geman and Geman 1984, https://doi.org/10.1109/TPAMI.1984.4767596), pair by pair and exactly given the others, one
    state for each member of an ensemble.

    Args:
        units: Length of every numeric dimension, [dimensions]; coordinates run from 0 to it.
        members: Number of states.
        seed: Seed of the draws.
    """

    def __init__(self, units: Floats, members: int, seed: int) -> None:
        dimensions = range(len(units))
        pairs = [(i, j) for i in dimensions for j in dimensions if i != j]
        self._outgrowing = np.array([i for i, _ in pairs], np.intp)
        self._outgrown = np.array([j for _, j in pairs], np.intp)
        # Half way between whole units: from where all points are beyond, to where only the last unit is.
        self._places = [np.arange(-math.ceil(units[j]) - 0.5, math.ceil(units[i])) for i, j in pairs]
        self._log_prior = [math.log(_EXPECTED / len(pairs) / len(places)) for places in self._places]
        self._edges = np.full((members, len(pairs)), np.inf)
        self._rng = np.random.default_rng([seed, 2])

    def intact(self, coordinates: Floats) -> Floats:
        """Probability that each of [points, dimensions] is intact, by each member, [members, points]."""
        probability: Floats = _SPARED ** np.minimum(self._beyond(coordinates), _MOST_BEYOND)
        return probability

    def shares(self, coordinates: Floats, log_intact: Floats, log_collapsed: Floats) -> Floats:
        """Probability that a point of known value is intact, [members, points]; arguments as in :meth:`sample`.

        A point that is beyond no edge is intact: if its value is low all the same, another part of the model explains
        it.
        """
        before = self.intact(coordinates)
        with np.errstate(divide="ignore"):
            log_collapsed = np.log1p(-before) + log_collapsed
        log_intact = np.log(before) + log_intact
        shares: Floats = np.exp(log_intact - np.logaddexp(log_intact, log_collapsed))
        return shares

    def sample(self, coordinates: Floats, log_intact: Floats, log_collapsed: Floats, weights: Floats) -> None:
        """Draw edges, beginning with those drawn last.

        Args:
            coordinates: [points, dimensions].
            log_intact: Logarithm of the density of each value if its point is intact, [members, points].
            log_collapsed: The same if it has collapsed, [points]; minus infinity for values that are not at the bottom.
            weights: How much a point counts, [points].
        """
        intact = (1 - _UNEXPLAINED) * _SPARED ** np.arange(_MOST_BEYOND + 2.0)[:, None, None]
        likelihoods = np.logaddexp(np.log(intact) + log_intact, np.log1p(-intact) + log_collapsed)
        # Gain in log likelihood of being beyond one edge more, by the number of other edges: [edges, members, points].
        worth = weights * np.diff(likelihoods, axis=0)
        differences = coordinates[:, self._outgrowing] - coordinates[:, self._outgrown]
        beyond = self._beyond(coordinates)
        members, points = np.ogrid[: len(beyond), : len(coordinates)]
        for _ in range(_SWEEPS):
            for pair in self._visited():
                difference, places = differences[:, pair], self._places[pair]
                beyond -= difference > self._edges[:, pair, None]
                worth_here = worth[np.minimum(beyond, _MOST_BEYOND), members, points]
                # An edge at each possible place, or no edge.
                log_posterior = np.zeros((len(beyond), len(places) + 1))
                log_posterior[:, :-1] = worth_here @ (difference[:, None] > places) + self._log_prior[pair]
                drawn = (log_posterior + self._rng.gumbel(size=log_posterior.shape)).argmax(axis=1)
                self._edges[:, pair] = np.append(places, np.inf)[drawn]
                beyond += difference > self._edges[:, pair, None]

    def _visited(self) -> NDArray[np.intp]:
        """Indices of the pairs that a sweep draws anew, in random order."""
        has_edge = np.isfinite(self._edges).any(axis=0)
        others = self._rng.permutation(np.flatnonzero(~has_edge))
        some = others[: max(_VISITED - int(has_edge.sum()), 0)]
        visited: NDArray[np.intp] = self._rng.permutation(np.concatenate([np.flatnonzero(has_edge), some]))
        return visited

    def _beyond(self, coordinates: Floats) -> NDArray[np.intp]:
        """Number of edges that each point is beyond, [members, points]."""
        beyond = np.zeros((len(self._edges), len(coordinates)), np.intp)
        for pair in np.flatnonzero(np.isfinite(self._edges).any(axis=0)):
            difference = coordinates[:, self._outgrowing[pair]] - coordinates[:, self._outgrown[pair]]
            beyond += difference > self._edges[:, pair, None]
        return beyond
