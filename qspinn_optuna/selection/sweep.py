"""The candidate that each mu of the trade-off selects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from qspinn_optuna.front import Candidate, ParetoFront, check_front, nondominated

_LARGEST_DENOMINATOR = 10**6


@dataclass(frozen=True)
class MuInterval:
    """The values of mu, low <= mu < high, at which :class:`TradeOffSelector` selects a candidate.

    Example:
        >>> 0.1 in MuInterval(front.candidates[0], low=0.0, high=0.5)
        True

    Args:
        candidate: The candidate.
        low: The smallest of these values.
        high: The smallest larger value at which the candidate loses: the next smaller model has the same reward there.
            Infinity for the smallest model.
    """

    candidate: Candidate
    low: float
    high: float

    def __contains__(self, mu: float) -> bool:
        return self.low <= mu < self.high


def sweep_mu(front: ParetoFront) -> tuple[MuInterval, ...]:
    """The interval of mu in which each candidate has the largest reward, accuracy - mu * memory / original memory.

    The intervals follow each other without gaps, from mu = 0, where the most accurate candidate wins, to infinity,
    where the smallest wins. They are exact: they come from the corners of the upper hull of (memory / original memory,
    accuracy), where the slope from a corner to the next larger one is the mu up to which the larger one wins.
    Candidates under the hull or on an edge of it never win and are left out.

    Ties are decided as by :class:`TradeOffSelector`: the smaller model, then the earlier trial. The selector computes
    in floating point, so that it may decide otherwise exactly at the end of an interval.

    Example:
        >>> intervals = sweep_mu(front)
        >>> intervals[0].low, intervals[-1].high
        (0.0, inf)

    Raises:
        TypeError: If ``front`` is not a front.
        ValueError: If it is empty, or one of its numbers is impossible.
    """
    check_front(front)
    hull = _upper_hull(front)
    slopes = [_slope(small, large) * _exact(front.baseline_kib) for small, large in pairwise(hull)]
    bounds = [math.inf, *map(float, slopes), 0.0]
    intervals = [
        MuInterval(candidate, low, high)
        for candidate, high, low in zip(hull, bounds, bounds[1:], strict=False)
        if low < high  # Two different slopes may round to the same float.
    ]
    return tuple(reversed(intervals))


def _upper_hull(front: ParetoFront) -> list[Candidate]:
    """Corners of the upper hull by ascending memory, from the smallest candidate to the most accurate."""
    hull: list[Candidate] = []
    for candidate in nondominated(front, lambda member: (member.memory_kib, member.accuracy, member.trial_number)):
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], candidate):
            hull.pop()
        hull.append(candidate)
    return hull


def _slope(small: Candidate, large: Candidate) -> Fraction:
    """Exact gain of accuracy per KiB."""
    return (_exact(large.accuracy) - _exact(small.accuracy)) / (_exact(large.memory_kib) - _exact(small.memory_kib))


def _exact(value: float) -> Fraction:
    """The number that a float stands for: the nearest simple fraction if it rounds to the same float.

    An accuracy is a quotient of counts, and its float is rounded: the floats 0.1, 0.2 and 0.3 are not on a line, and
    the middle one would win in a tiny interval of mu.
    """
    simple = Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)
    return simple if float(simple) == value else Fraction(value)
