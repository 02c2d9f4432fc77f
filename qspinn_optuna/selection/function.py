"""The model with the largest score by a user's function."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

from qspinn_optuna.front import Candidate, ParetoFront, check_front
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.ranking import choose


@dataclass(frozen=True)
class FunctionSelector:
    """Selects the candidate with the largest score by a function.

    Ties go to the smaller model, then to the earlier trial. The reward is the score. Rivals are candidates whose score
    the winner would not exceed if its accuracy were lower by the standard error of the difference. The function is
    called with such a copy of the winner, too. If it ignores the accuracy, only ties are rivals.

    Example:
        >>> FunctionSelector(lambda candidate: candidate.accuracy - candidate.memory_kib / 100).select(front).rule
        'largest score by <lambda>'

    Args:
        function: Score of a candidate, a finite number.

    Raises:
        TypeError: If ``function`` cannot be called.
    """

    function: Callable[[Candidate], float]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"function must give the score of a Candidate, got {self.function!r}.")

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is not a front, or a score is not a number.
            ValueError: If it is empty, one of its numbers is impossible, or a score is not finite.
        """
        check_front(front)
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return choose(front, self._score, f"largest score by {name}")

    def _score(self, candidate: Candidate) -> float:
        score = self.function(candidate)
        if not isinstance(score, Real):
            raise TypeError(f"function must return a number, got {score!r} for trial {candidate.trial_number}.")
        if not math.isfinite(score):
            raise ValueError(f"function must return a finite number, got {score!r} for trial {candidate.trial_number}.")
        return float(score)
