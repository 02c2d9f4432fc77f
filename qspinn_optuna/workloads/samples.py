"""Samples as integer models take them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Split(StrEnum):
    """What samples are for.

    Example:
        >>> [split.value for split in Split]
        ['validation', 'test']
    """

    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, eq=False)
class IntegerSamples:
    """The first samples of a split, as a device gets them; they are numbered from the model's first.

    Example:
        >>> samples = IntegerSamples(codes, np.zeros(len(codes), np.int64), Split.TEST, is_whole=False)
        >>> len(samples.inputs) == len(samples.labels)
        True

    Args:
        inputs: Integers, [samples, ...].
        labels: Classes, [samples].
        split: What they are for.
        is_whole: Whether these are all samples of the split.
    """

    inputs: NDArray[np.integer]
    labels: NDArray[np.integer]
    split: Split
    is_whole: bool

    def __len__(self) -> int:
        return len(self.labels)

    def __str__(self) -> str:
        return f"{'all' if self.is_whole else 'the first'} {len(self):,} {self.split} samples"
