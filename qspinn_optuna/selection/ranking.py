"""The largest score wins."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from qspinn_optuna.front import Candidate
from qspinn_optuna.selection.choice import Choice


def smaller_first(candidate: Candidate) -> tuple[float, int]:
    """The key that breaks ties, by every rule: the smaller model, then the earlier trial."""
    return candidate.memory_kib, candidate.trial_number


def choose(candidates: Iterable[Candidate], score: Callable[[Candidate], float], rule: str) -> Choice:
    """The candidate with the largest score, which is its reward.

    Its rivals are those to which it would lose its lead if its own accuracy were lower by the standard error of the
    difference of theirs. For a score that is the accuracy, with whatever memory costs, this says that the lead is not
    larger than that error.

    Args:
        candidates: At least one.
        score: What is to be large.
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

    sqrt(se1**2 + se2**2), as if the two had been measured on samples of their own. They were measured on the same,
    where both tend to fail on the hard ones, and the difference varies less: the figure is a conservative one, which
    calls rather too many candidates alike than too few.
    """
    errors = (first.standard_error, second.standard_error)
    if errors[0] is None or errors[1] is None:
        return None
    return math.hypot(errors[0], errors[1])
