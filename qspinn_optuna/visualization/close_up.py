"""The part of a front that is too dense to be seen beside everything else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from qspinn_optuna.front import Candidate, ParetoFront
from qspinn_optuna.selection import Choice

_GAP = 1 / 8
"""Largest gap between neighbours of a close-up, as a share of the axis of memory in logarithms."""

_WIDEST = 1 / 5
"""Widest close-up, as a share of that axis."""

_FEWEST = 3
"""Fewest models of a close-up."""


@dataclass(frozen=True)
class CloseUp:
    """The models around the chosen one.

    Args:
        members: Members of the front, by memory.
    """

    members: tuple[Candidate, ...]

    @property
    def memories(self) -> tuple[float, float]:
        """Ends of its axis of memory, in KiB."""
        low, high = self.members[0].memory_kib, self.members[-1].memory_kib
        # Names of rules are on the right of their points.
        return low - 0.12 * (high - low), high + 0.3 * (high - low)

    def accuracies(self, levels: Sequence[float]) -> tuple[float, float]:
        """Ends of its axis of accuracy in percent, which has those of ``levels`` that are near."""
        shown = [100 * member.accuracy for member in self.members]
        span = max(max(shown) - min(shown), 1.0)
        shown += [100 * level for level in levels if min(shown) - span <= 100 * level <= max(shown) + span]
        margin = 0.25 * (max(shown) - min(shown)) or 0.5
        return min(shown) - margin, max(shown) + margin

    def has(self, memory_kib: float) -> bool:
        """Whether something of this memory is in it."""
        low, high = self.memories
        return low <= memory_kib <= high


def close_up_of(front: ParetoFront, choice: Choice | None, memories: Sequence[float]) -> CloseUp | None:
    """The close-up of a front, around the choice or else its smallest model; None if all can be seen without it.

    Args:
        front: The front.
        choice: The chosen model, if any.
        memories: Memories of all that is shown, in KiB.
    """
    whole = math.log(max(memories) / min(memories))
    if whole == 0:
        return None
    members = sorted(front, key=lambda candidate: candidate.memory_kib)
    center = choice.trial_number if choice is not None else members[0].trial_number
    for cluster in _clusters(members, _GAP * whole):
        width = math.log(cluster[-1].memory_kib / cluster[0].memory_kib)
        if any(member.trial_number == center for member in cluster):
            is_dense = len(cluster) >= _FEWEST and 0 < width <= _WIDEST * whole
            return CloseUp(tuple(cluster)) if is_dense else None
    return None


def _clusters(members: Sequence[Candidate], gap: float) -> list[list[Candidate]]:
    """Members in groups, within which neighbours are at most ``gap`` apart in the logarithm of memory."""
    clusters = [[members[0]]]
    for before, member in pairwise(members):
        if math.log(member.memory_kib / before.memory_kib) > gap:
            clusters.append([])
        clusters[-1].append(member)
    return clusters
