"""The smallest model within a tolerance of the best accuracy."""

from __future__ import annotations

from dataclasses import dataclass

from qspinn_optuna.front import ParetoFront, check_front
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.ranking import difference_error, most_accurate, smaller_first

_ROUNDING = 1e-9
"""Less than the share of one sample, and more than the rounding error of a difference: 0.95 - 0.94 exceeds 0.01."""


@dataclass(frozen=True)
class ToleranceSelector:
    """Selects the smallest candidate whose accuracy is at most ``tolerance`` below the best accuracy.

    Ties go to the earlier trial. The reward is the compression. Rivals are smaller candidates that miss the tolerance
    by at most the standard error of the difference to the best: another measurement may find them within it. Larger
    candidates are not rivals, since the tolerance gives up their accuracy.

    Example:
        >>> ToleranceSelector(tolerance=0.05).select(front).trial_number
        4

    Args:
        tolerance: Accuracy to give up, a fraction: 0.01 is one point.

    Raises:
        ValueError: If ``tolerance`` is not a fraction of at least 0 and less than 1.
    """

    tolerance: float

    def __post_init__(self) -> None:
        if not isinstance(self.tolerance, int | float) or not 0 <= self.tolerance < 1:
            raise ValueError(
                f"tolerance must be a fraction of at least 0 and less than 1, such as 0.01 for one point, "
                f"got {self.tolerance!r}."
            )

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is not a front.
            ValueError: If it is empty, or one of its numbers is impossible.
        """
        check_front(front)
        rule = f"smallest within {100 * self.tolerance:.2f} points of the best accuracy"
        return smallest_within(front, self.tolerance, rule)


def smallest_within(front: ParetoFront, tolerance: float, rule: str) -> Choice:
    """The choice of :class:`ToleranceSelector`, with its rivals."""
    best = most_accurate(front)
    # How far each accuracy is below the tolerance.
    missing = [best.accuracy - candidate.accuracy - tolerance for candidate in front]
    within = [candidate for candidate, miss in zip(front, missing, strict=True) if miss <= _ROUNDING]
    winner = min(within, key=smaller_first)
    rivals = [
        candidate
        for candidate, miss in zip(front, missing, strict=True)
        if miss > _ROUNDING
        and smaller_first(candidate) < smaller_first(winner)
        and (error := difference_error(best, candidate)) is not None
        and miss <= error
    ]
    return Choice(winner, winner.compression, rule, tuple(rivals))
