"""The protocol of selectors."""

from __future__ import annotations

from typing import Protocol

from qspinn_optuna.front import ParetoFront
from qspinn_optuna.selection.choice import Choice


class Selector(Protocol):
    """A rule that names one candidate of a front.

    Example:
        >>> class Widest:
        ...     def select(self, front):
        ...         candidate = front.candidates[-1]
        ...         return Choice(candidate, reward=candidate.accuracy, rule="the most accurate")
        >>> Widest().select(front).trial_number == front.candidates[-1].trial_number
        True
    """

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is not a front.
            ValueError: If no candidate can be chosen, see :func:`~qspinn_optuna.front.check_front`.
        """
        ...
