"""Ranking of candidates by a score, with ties and rivals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from qspinn_optuna.front import Candidate
from qspinn_optuna.selection.choice import Choice


def smaller_first(candidate: Candidate) -> tuple[float, int]:
    """The sort key that breaks the ties of every rule: the smaller model, then the earlier trial."""
    return candidate.memory_kib, candidate.trial_number


def most_accurate(candidates: Iterable[Candidate]) -> Candidate:
    """The candidate with the best accuracy; ties go to the smaller model, then to the earlier trial."""
    return min(candidates, key=lambda candidate: (-candidate.accuracy, *smaller_first(candidate)))


def choose(candidates: Iterable[Candidate], score: Callable[[Candidate], float], rule: str) -> Choice:
    """The candidate with the largest score, which is its reward.

    A candidate is a rival if the winner would lose its lead over it with an accuracy that is lower by the standard
    error of the difference. If the score is the accuracy minus a cost of memory, the lead is at most that error.

    Args:
        candidates: At least one candidate.
        score: The score to maximize.
        rule: The rule in words.
    """
    scored = [(candidate, score(candidate)) for candidate in candidates]
    winner, reward = min(scored, key=lambda pair: (-pair[1], *smaller_first(pair[0])))
    rivals = [
        candidate
        for candidate, other in scored
        if candidate != winner
        and (error := difference_error(winner, candidate)) is not None
        and score(replace(winner, accuracy=max(0.0, winner.accuracy - error))) <= other
    ]
    return Choice(winner, reward, rule, tuple(rivals))


def difference_error(first: Candidate, second: Candidate) -> float | None:
    """Standard error of the difference of two accuracies, a fraction; None if the samples of either are unknown.

    The formula sqrt(se1**2 + se2**2) assumes independent samples. Both accuracies are of the same samples, and both
    models tend to fail on the hard ones, so the difference varies less: the estimate is conservative, and names rather
    too many rivals than too few.
    """
    errors = (first.standard_error, second.standard_error)
    if errors[0] is None or errors[1] is None:
        return None
    return math.hypot(errors[0], errors[1])
