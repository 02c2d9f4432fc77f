"""Who wins at which mu."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from qspinn_optuna.front import Candidate, ParetoFront, check_front

_LARGEST_DENOMINATOR = 10**6


@dataclass(frozen=True)
class MuInterval:
    """The values of mu, low <= mu < high, at which a candidate is what :class:`TradeOffSelector` selects.

    Args:
        candidate: The candidate.
        low: The smallest of them.
        high: The first that is too large, at which the next smaller model has the same reward and wins; infinity for
            the smallest model.
    """

    candidate: Candidate
    low: float
    high: float

    def __contains__(self, mu: float) -> bool:
        return self.low <= mu < self.high


def sweep_mu(front: ParetoFront) -> tuple[MuInterval, ...]:
    """For which range of mu each candidate has the largest reward, accuracy - mu * memory / memory of the original.

    The ranges follow each other from mu = 0, where the most accurate candidate wins, to infinity, where the smallest
    does, without gaps. They come from the corners of the upper hull of (memory / memory of the original, accuracy): the
    slope from one to the next larger is the mu up to which the larger wins. Nothing is sampled. Candidates that win
    nowhere, under the hull or on an edge of it, are left out.

    Ties are decided as by :class:`TradeOffSelector`: the smaller model, then the earlier trial. At the very end of a
    range the selector, which computes in floating point, may see a difference where there is none.

    Raises:
        TypeError: If ``front`` is no front.
        ValueError: If it is empty, or a number of it cannot be.
    """
    check_front(front)
    hull = _upper_hull(front)
    slopes = [_slope(small, large) * _exact(front.baseline_kib) for small, large in pairwise(hull)]
    bounds = [math.inf, *map(float, slopes), 0.0]
    intervals = [
        MuInterval(candidate, low, high)
        for candidate, high, low in zip(hull, bounds, bounds[1:], strict=False)
        if low < high  # Two slopes may be the same number to a float.
    ]
    return tuple(reversed(intervals))


def _upper_hull(front: ParetoFront) -> list[Candidate]:
    """Corners of the hull, by memory, from the smallest candidate to the most accurate."""
    hull: list[Candidate] = []
    for candidate in sorted(front, key=lambda member: (member.memory_kib, -member.accuracy, member.trial_number)):
        if hull and candidate.accuracy <= hull[-1].accuracy:
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-1], candidate):
            hull.pop()
        hull.append(candidate)
    return hull


def _slope(small: Candidate, large: Candidate) -> Fraction:
    """Accuracy gained per KiB, exactly."""
    return (_exact(large.accuracy) - _exact(small.accuracy)) / (_exact(large.memory_kib) - _exact(small.memory_kib))


def _exact(value: float) -> Fraction:
    """The number that a float stands for.

    An accuracy is a count of so many samples, and its float a little off: 0.1, 0.2 and 0.3 are not on a line, and the
    middle one would win for a sliver of mu. The nearest simple fraction is that count, if it has the same float.
    """
    simple = Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)
    return simple if float(simple) == value else Fraction(value)
