"""What an evaluation yields, told apart."""

from __future__ import annotations

from collections.abc import Iterable

from qspinn_optuna import TrainingProgress


def counts_of(looks: Iterable[TrainingProgress | tuple[int, int]]) -> list[tuple[int, int]]:
    """The counts of an evaluation whose training is not looked at."""
    looks = list(looks)
    counts = [look for look in looks if not isinstance(look, TrainingProgress)]
    assert len(counts) == len(looks)
    return counts
