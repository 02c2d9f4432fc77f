"""The accuracy of a network in training."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingProgress:
    """The accuracy of a network at a rung, a fraction of its training.

    It need not be the accuracy of the finished network, nor on the same samples: a pruner compares it with the same
    rung of other trials.

    Example:
        >>> TrainingProgress(fraction=0.2, correct=700, seen=1_000).fraction
        0.2

    Args:
        fraction: The rung: part of the training that is done, between 0 and 1, both excluded.
        correct: Correct answers among the samples that were counted.
        seen: Samples that were counted, at least one.

    Raises:
        ValueError: If ``fraction`` is outside its range, or the counts cannot be.
    """

    fraction: float
    correct: int
    seen: int

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ValueError(f"fraction must be between 0 and 1, both excluded, got {self.fraction!r}.")
        if not 0 <= self.correct <= self.seen or self.seen == 0:
            raise ValueError(
                f"Counts must be 0 <= correct <= seen > 0, got correct={self.correct!r} and seen={self.seen!r}."
            )

    @property
    def accuracy(self) -> float:
        """The part of the samples that is right."""
        return self.correct / self.seen


def check_rungs(fractions: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse rungs that are no fractions of a training, rising from above 0 to below 1.

    Returns:
        ``fractions``.

    Raises:
        ValueError: If they do not rise, or one is outside the range.
    """
    bounds = [0.0, *fractions, 1.0]
    if not all(math.isfinite(b) and a < b for a, b in itertools.pairwise(bounds)):
        raise ValueError(
            f"rungs must be fractions of the training that rise between 0 and 1, both excluded, such as "
            f"(0.33,), got {fractions!r}."
        )
    return fractions
