"""The most accurate model that fits into a memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qspinn_optuna.front import ParetoFront, check_front
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.ranking import choose, smaller_first


@dataclass(frozen=True)
class BudgetSelector:
    """Selects the most accurate candidate that fits into a memory.

    Ties go to the smaller model, then to the earlier trial. The reward is the accuracy. Rivals are candidates that fit
    as well and whose accuracy is lower by at most the standard error of the difference.

    Example:
        >>> BudgetSelector(memory_kib=5.0).select(front).memory_kib <= 5
        True

    Args:
        memory_kib: The available memory, in KiB of 1,024 bytes; a candidate may fill it.

    Raises:
        ValueError: If ``memory_kib`` is not a finite positive number.
    """

    memory_kib: float

    def __post_init__(self) -> None:
        if not isinstance(self.memory_kib, int | float) or not (math.isfinite(self.memory_kib) and self.memory_kib > 0):
            raise ValueError(f"memory_kib must be a finite number of more than 0 KiB, got {self.memory_kib!r}.")

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is not a front.
            ValueError: If it is empty, one of its numbers is impossible, or none of its candidates fits.
        """
        check_front(front)
        fitting = [candidate for candidate in front if candidate.memory_kib <= self.memory_kib]
        if not fitting:
            smallest = min(front, key=smaller_first)
            # All digits, since a budget copied from a rounded size would be refused again.
            raise ValueError(
                f"memory_kib must be at least the {smallest.memory_kib!r} KiB of trial {smallest.trial_number}, the "
                f"smallest of the front, got {self.memory_kib!r}: raise the budget, or search narrower widths."
            )
        return choose(fitting, lambda candidate: candidate.accuracy, f"most accurate within {self.memory_kib:g} KiB")
