"""The model at the knee of the front."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from qspinn_optuna.front import Candidate, ParetoFront, check_front
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.ranking import choose, most_accurate

_DIGITS = 12
"""Decimals of a distance; smaller differences are rounding errors of logarithms and quotients."""

_RULE = "knee of the front, farthest above the line from the smallest to the most accurate"


@dataclass(frozen=True)
class KneeSelector:
    """Selects the knee of the front: the candidate farthest above the chord from the smallest to the most accurate.

    Both objectives are scaled to 0-1 between the ends of the chord, memory on a logarithmic axis. On a linear axis the
    knee would depend on the largest model that the search tried; on this one it is where another doubling of the memory
    begins to gain less.

    Ties go to the smaller model, then to the earlier trial. Both ends of the chord have the distance 0, so the smallest
    wins if no candidate is above the chord, as on a front of two. The reward is the distance, in the scaled units.
    Rivals are candidates whose distance is smaller by at most the standard error of the difference of the accuracies,
    in the same units; the ends of the chord count as exact. Source: Das, "On characterizing the knee of the Pareto
    curve", Structural Optimization 18, 1999.

    Example:
        >>> KneeSelector().select(front).trial_number
        14
    """

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is not a front.
            ValueError: If it is empty, or one of its numbers is impossible.
        """
        check_front(front)
        low = min(front, key=lambda candidate: (candidate.memory_kib, -candidate.accuracy, candidate.trial_number))
        high = most_accurate(front)
        # Without two different ends there is no chord, and this candidate beats all others.
        return Choice(low, 0.0, _RULE) if low == high else choose(front, _distance(low, high), _RULE)


def _distance(low: Candidate, high: Candidate) -> Callable[[Candidate], float]:
    """The signed distance of a candidate above the chord from ``low`` to ``high``, as a function; at most sqrt(1/2)."""
    doublings = math.log2(high.memory_kib) - math.log2(low.memory_kib)
    gain = high.accuracy - low.accuracy

    def distance(candidate: Candidate) -> float:
        across = (math.log2(candidate.memory_kib) - math.log2(low.memory_kib)) / doublings
        up = (candidate.accuracy - low.accuracy) / gain
        return round((up - across) / math.sqrt(2), _DIGITS)

    return distance
