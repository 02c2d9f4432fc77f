"""The smallest model within one standard error of the best accuracy."""

from __future__ import annotations

from dataclasses import dataclass

from qspinn_optuna.front import ParetoFront, check_front
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.ranking import most_accurate
from qspinn_optuna.selection.tolerance import smallest_within


@dataclass(frozen=True)
class OneStandardErrorSelector:
    """Selects the smallest candidate whose accuracy is at most one standard error below the best accuracy.

    The standard error is that of the best accuracy, sqrt(accuracy * (1 - accuracy) / samples). Ties, reward and rivals
    are those of :class:`~.tolerance.ToleranceSelector`. Source: the pruning rule of Breiman, Friedman, Olshen and
    Stone, Classification and Regression Trees, 1984.

    Example:
        >>> OneStandardErrorSelector().select(front).trial_number
        5
    """

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is not a front.
            ValueError: If it is empty, one of its numbers is impossible, or the best accuracy has an unknown number of
                samples.
        """
        check_front(front)
        best = most_accurate(front)
        error = best.standard_error
        if error is None:
            raise ValueError(
                f"front must have the number of samples of its best accuracy, got None for trial {best.trial_number}: "
                "use ToleranceSelector, or trials with the user attribute 'seen'."
            )
        rule = f"smallest within one standard error ({100 * error:.2f} points) of the best accuracy"
        return smallest_within(front, error, rule)
