"""The smallest that may be as good as the best."""

from __future__ import annotations

from dataclasses import dataclass

from qspinn_optuna.front import ParetoFront, check_front
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.tolerance import most_accurate, smallest_within


@dataclass(frozen=True)
class OneStandardErrorSelector:
    """Selects the smallest candidate whose accuracy is at most one standard error under the best one's.

    The rule of Breiman, Friedman, Olshen and Stone (Classification and Regression Trees, 1984), which prunes a tree as
    far as the noise of its evaluation hides the loss. The standard error is that of the best accuracy,
    sqrt(accuracy * (1 - accuracy) / samples). Ties, reward and rivals are those of
    :class:`~.tolerance.ToleranceSelector`.
    """

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is no front.
            ValueError: If it is empty, a number of it cannot be, or it is unknown on how many samples the best accuracy
                was measured.
        """
        check_front(front)
        best = most_accurate(front)
        error = best.standard_error
        if error is None:
            raise ValueError(
                f"front must say on how many samples its best accuracy was measured, got None of trial "
                f"{best.trial_number}: use ToleranceSelector, or trials with the user attribute 'seen'."
            )
        rule = f"smallest within one standard error ({100 * error:.2f} points) of the best accuracy"
        return smallest_within(front, error, rule)
