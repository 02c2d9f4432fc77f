"""Where the front bends most."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from qspinn_optuna.front import Candidate, ParetoFront, check_front
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.ranking import choose
from qspinn_optuna.selection.tolerance import most_accurate

_DIGITS = 12
"""Decimals of a distance; what differs beyond is the rounding of logarithms and quotients."""

_RULE = "knee of the front, farthest above the line from the smallest to the most accurate"


@dataclass(frozen=True)
class KneeSelector:
    """Selects the knee of the front: the candidate farthest above the chord from the smallest to the most accurate.

    The chord of Das (Structural Optimization 18, 1999, "On characterizing the knee of the Pareto curve"), with both
    objectives scaled to 0-1 between its two ends. Memory is scaled on a logarithmic axis, as the sizes of a front span
    powers of two: on a linear one its largest model would push all others together at the left, and the knee would
    depend on how far the search went. On this one it is where another doubling begins to gain less.

    The reward is the distance, in these units. Of equal distances the smaller model wins, then the earlier trial. Both
    ends of the chord have the distance 0: where no candidate is above it, as on a front of two, the smallest wins.
    Rivals are candidates whose distance is smaller by no more than the standard error of the difference of the
    accuracies, in the same units; the ends of the chord count as exact.
    """

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is no front.
            ValueError: If it is empty, or a number of it cannot be.
        """
        check_front(front)
        low = min(front, key=lambda candidate: (candidate.memory_kib, -candidate.accuracy, candidate.trial_number))
        high = most_accurate(front)
        # One candidate that is both leaves no chord: it beats all others.
        return Choice(low, 0.0, _RULE) if low == high else choose(front, _distance(low, high), _RULE)


def _distance(low: Candidate, high: Candidate) -> Callable[[Candidate], float]:
    """Signed distance above the chord from ``low`` to ``high``, of a candidate; at most sqrt(1/2)."""
    doublings = math.log2(high.memory_kib) - math.log2(low.memory_kib)
    gain = high.accuracy - low.accuracy

    def distance(candidate: Candidate) -> float:
        across = (math.log2(candidate.memory_kib) - math.log2(low.memory_kib)) / doublings
        up = (candidate.accuracy - low.accuracy) / gain
        return round((up - across) / math.sqrt(2), _DIGITS)

    return distance
