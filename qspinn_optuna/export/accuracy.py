"""Accuracies of a model in its several forms, for the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of one form of a model.

    Example:
        >>> print(Accuracy("integers", 0.874, "all 1,000 test samples"))
        integers 87.40% (all 1,000 test samples)

    Args:
        of: The form, such as "integers".
        share: The share of samples that are classified right.
        samples: Which samples, such as "1,000 of the test set".
    """

    of: str
    share: float
    samples: str

    def __str__(self) -> str:
        return f"{self.of} {self.share:.2%} ({self.samples})"
