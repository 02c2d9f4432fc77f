"""The model with the best trade-off between accuracy and memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qspinn_optuna.front import ParetoFront, check_front
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.ranking import choose


@dataclass(frozen=True)
class TradeOffSelector:
    """Selects the candidate with the largest reward: accuracy - mu * memory / memory of the 32-bit original.

    Ties go to the smaller model, then to the earlier trial. Rivals are candidates whose reward is lower by at most the
    standard error of the difference of the accuracies, since memory is known exactly. Source: Putra and Shafique,
    IJCNN 2021, https://arxiv.org/abs/2107.01807.

    Example:
        >>> TradeOffSelector(mu=0.1).select(front).trial_number
        5

    Args:
        mu: Cost of memory: mu = 0.1 gives up a tenth of a point of accuracy for a hundredth of the original memory,
            mu = 0 ignores memory.

    Raises:
        ValueError: If ``mu`` is negative or not finite.
    """

    mu: float

    def __post_init__(self) -> None:
        if not isinstance(self.mu, int | float) or not (math.isfinite(self.mu) and self.mu >= 0):
            raise ValueError(f"mu must be a finite number of at least 0, got {self.mu!r}.")

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            TypeError: If ``front`` is not a front.
            ValueError: If it is empty, or one of its numbers is impossible.
        """
        check_front(front)
        baseline_kib = front.baseline_kib
        return choose(
            front,
            lambda candidate: candidate.accuracy - self.mu * candidate.memory_kib / baseline_kib,
            f"reward accuracy - {self.mu:g} * memory / {baseline_kib:.1f} KiB",
        )
