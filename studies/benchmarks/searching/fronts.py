"""Fronts and their hypervolume, written anew for the benchmarks.

The package has an implementation of its own. This one shares no code with it, so that what samplers and pruners are
measured by does not depend on what they compute with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Front:
    """The points that no other one beats in memory and accuracy at once.

    Args:
        memory_kib: In ascending order.
        accuracy: In ascending order.
    """

    memory_kib: Array
    accuracy: Array

    @classmethod
    def of(cls, memory_kib: Sequence[float] | Array, accuracy: Sequence[float] | Array) -> Front:
        """The front of some points, of which equal ones are kept once."""
        memory, score = np.asarray(memory_kib, np.float64), np.asarray(accuracy, np.float64)
        kept = nondominated(memory, -score)
        return cls(memory[kept], score[kept])

    def __len__(self) -> int:
        return len(self.memory_kib)

    def hypervolume(self, reference_kib: float, chance: float) -> float:
        """Share of the area from no memory to ``reference_kib`` and from ``chance`` to 1 that the front dominates."""
        inside = (self.memory_kib < reference_kib) & (self.accuracy > chance)
        memory, accuracy = self.memory_kib[inside], self.accuracy[inside]
        # The front is a staircase: each point is the best one until the next.
        area = np.sum(np.diff(memory, append=reference_kib) * (accuracy - chance))
        return float(area / (reference_kib * (1 - chance)))


def nondominated(memory: Array, loss: Array) -> NDArray[np.intp]:
    """Places of the points that no other one beats in both, both to be small, by memory; of equal ones the first."""
    if not len(memory):
        return np.zeros(0, np.intp)
    order = np.lexsort((loss, memory))
    best = np.minimum.accumulate(loss[order])
    kept: NDArray[np.intp] = order[np.append(True, best[1:] < best[:-1])]
    return kept
