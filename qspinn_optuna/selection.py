"""One model of the front."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.front import Candidate, ParetoFront


@dataclass(frozen=True)
class Choice:
    """The candidate that a selector chose, and its reward."""

    candidate: Candidate
    reward: float

    @property
    def config(self) -> QuantizationConfig:
        """Its quantization."""
        return self.candidate.config

    @property
    def memory_kib(self) -> float:
        """Its memory."""
        return self.candidate.memory_kib

    @property
    def compression(self) -> float:
        """How many times smaller than the 32-bit original it is."""
        return self.candidate.compression

    @property
    def accuracy(self) -> float:
        """Its accuracy, a fraction."""
        return self.candidate.accuracy

    @property
    def trial_number(self) -> int:
        """Number of its trial."""
        return self.candidate.trial_number

    def to_dict(self) -> dict[str, Any]:
        """The choice as JSON keeps it."""
        return {**self.candidate.to_dict(), "reward": self.reward}


class TradeOffSelector:
    """Selects the candidate with the largest reward: accuracy - mu * memory / memory of the 32-bit original.

    The trade-off of Putra and Shafique (IJCNN 2021, https://arxiv.org/abs/2107.01807). Of equal rewards the smaller
    model wins, then the earlier trial.

    Args:
        mu: What memory costs: mu = 0.1 gives up a tenth of a point of accuracy for a hundredth of the original memory,
            mu = 0 asks for accuracy alone.

    Raises:
        ValueError: If ``mu`` is negative or not finite.
    """

    def __init__(self, mu: float) -> None:
        if not isinstance(mu, int | float) or not (math.isfinite(mu) and mu >= 0):
            raise ValueError(f"mu must be a finite number of at least 0, got {mu!r}.")
        self.mu = mu

    def select(self, front: ParetoFront) -> Choice:
        """The choice among the candidates of ``front``.

        Raises:
            ValueError: If the front is empty.
        """
        if not isinstance(front, ParetoFront):
            raise TypeError(f"front must be a ParetoFront, such as ParetoFront.from_study(study), got {front!r}.")
        if len(front) == 0:
            raise ValueError("front must have at least one candidate, got none.")
        rewards = [
            candidate.accuracy - self.mu * candidate.memory_kib / front.baseline_kib for candidate in front.candidates
        ]
        ranked = sorted(
            zip(front.candidates, rewards, strict=True),
            key=lambda pair: (-pair[1], pair[0].memory_kib, pair[0].trial_number),
        )
        return Choice(*ranked[0])
