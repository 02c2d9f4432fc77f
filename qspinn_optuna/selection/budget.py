"""The best that fits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qspinn_optuna.front import ParetoFront, check_front
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.ranking import choose, smaller_first


@dataclass(frozen=True)
class BudgetSelector:
    """Selects the most accurate of the candidates that fit into a memory.

    Of equal accuracies the smaller model wins, then the earlier trial. The reward is the accuracy. Rivals are
    candidates that fit, too, and whose accuracy is lower by no more than the standard error of the difference.

    Args:
        memory_kib: The memory there is, in KiB of 1,024 bytes; a candidate may fill it.

    Raises:
        ValueError: If it is not a positive number.
    """

    memory_kib: float

    def __post_init__(self) -> None:
        if not isinstance(self.memory_kib, int | float) or not (math.isfinite(self.memory_kib) and self.memory_kib > 0):
            raise ValueError(f"memory_kib must be a finite number of more than 0 KiB, got {self.memory_kib!r}.")

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is no front.
            ValueError: If it is empty, a number of it cannot be, or none of its candidates fits.
        """
        check_front(front)
        fitting = [candidate for candidate in front if candidate.memory_kib <= self.memory_kib]
        if not fitting:
            smallest = min(front, key=smaller_first)
            # All digits: who copies a rounded size into the budget should not be refused again.
            raise ValueError(
                f"memory_kib must be at least the {smallest.memory_kib!r} KiB of trial {smallest.trial_number}, the "
                f"smallest of the front, got {self.memory_kib!r}: raise the budget, or search narrower widths."
            )
        return choose(fitting, lambda candidate: candidate.accuracy, f"most accurate within {self.memory_kib:g} KiB")
