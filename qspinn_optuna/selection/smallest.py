"""The smallest feasible model."""

from __future__ import annotations

from dataclasses import dataclass

from qspinn_optuna.front import Candidate, ParetoFront, check_front
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.ranking import smaller_first


@dataclass(frozen=True)
class SmallestSelector:
    """Selects the smallest candidate: on the front of a study, the smallest model that reaches the accuracy floor.

    Ties go to the earlier trial. The reward is the compression. Rivals are the candidates that would be chosen if the
    smaller ones missed the floor in another measurement: the next larger candidates, as long as the one before is above
    the floor by less than its standard error. A front without a floor has no rivals.

    Example:
        >>> SmallestSelector().select(front)
        Choice(trial 8: ptq, 7.99x, 87.60 %; smallest model with an accuracy of at least 85.00%)
    """

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is not a front.
            ValueError: If it is empty, or one of its numbers is impossible.
        """
        check_front(front)
        winner, *larger = sorted(front, key=smaller_first)
        if front.accuracy_floor is None:
            return Choice(winner, winner.compression, "smallest model of the front")
        rivals: list[Candidate] = []
        previous = winner
        for candidate in larger:
            if not _may_miss(previous, front.accuracy_floor):
                break
            rivals.append(candidate)
            previous = candidate
        rule = f"smallest model with an accuracy of at least {front.accuracy_floor:.2%}"
        return Choice(winner, winner.compression, rule, tuple(rivals))


def _may_miss(candidate: Candidate, floor: float) -> bool:
    """Whether an accuracy is above the floor by less than its standard error."""
    error = candidate.standard_error
    return error is not None and candidate.accuracy - floor < error
