"""A choice of which it is known how accurate the chosen model truly is, and what its risk is said to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.selection.risk import Contest, corrected, paired_risk, unpaired_risk

_CONFIRMED = 3
"""Models that are measured again."""


@dataclass(frozen=True, eq=False)
class KnownStudy:
    """Answers of models, and their true accuracies.

    Args:
        contest: What a study would know.
        losses: True accuracy of the reference minus that of each model, fractions, [models].
    """

    contest: Contest
    losses: NDArray[np.float64]

    def chosen(self) -> int | None:
        """The smallest model that reaches the floor; None if none does."""
        (reaching,) = np.nonzero(_reaches(self.contest))
        if len(reaching) == 0:
            return None
        return int(min(reaching, key=lambda model: (self.contest.memory[model], model)))


@dataclass(frozen=True)
class KnownChoice:
    """A choice, the risks that are said, and the truth.

    Args:
        risks: Probabilities by the way in which they are said.
        is_under: Whether the chosen model truly loses more than it may.
    """

    risks: dict[str, float]
    is_under: bool


def choice_in(study: KnownStudy) -> KnownChoice | None:
    """The choice of a study; None if no model reaches the floor."""
    contest, chosen = study.contest, study.chosen()
    if chosen is None:
        return None
    right, reference = contest.right[chosen], contest.reference
    floor = float(reference.mean()) - contest.drop
    paired = _paired(right, reference, contest.drop)
    risks = {
        "counts alone": unpaired_risk(int(right.sum()), len(right), floor),
        "paired": paired,
        "paired, choice allowed for": corrected(paired, contest.optimism()),
    }
    return KnownChoice(risks, bool(study.losses[chosen] > contest.drop))


def confirmed_choice_in(study: KnownStudy) -> KnownChoice | None:
    """The choice among the three smallest that reach the floor on the first half of the samples, by the second half.

    Returns:
        The choice; None if no model reaches the floor on both.
    """
    whole = study.contest
    first, second = (_part(whole, half) for half in np.array_split(np.arange(len(whole.reference)), 2))
    (reaching,) = np.nonzero(_reaches(first))
    models = reaching[np.argsort(whole.memory[reaching], kind="stable")][:_CONFIRMED]
    again = Contest(second.right[models], second.reference, second.memory[models], second.drop)
    left = models[_reaches(again)] if len(models) else models
    if len(left) == 0:
        return None
    chosen = left[0]
    both = _paired(whole.right[chosen], whole.reference, whole.drop)
    risks = {
        "paired, fresh samples alone": _paired(second.right[chosen], second.reference, second.drop),
        "paired, both": both,
        "paired, both, choice allowed for": corrected(both, again.optimism()),
    }
    return KnownChoice(risks, bool(study.losses[chosen] > whole.drop))


def _reaches(contest: Contest) -> NDArray[np.bool_]:
    """Which models reach the floor."""
    # Less than a sample: a difference of fractions is not exact.
    leads = contest.right.mean(axis=1) - contest.reference.mean()
    reaches: NDArray[np.bool_] = leads >= -contest.drop - 1e-9
    return reaches


def _part(contest: Contest, samples: NDArray[np.intp]) -> Contest:
    return Contest(contest.right[:, samples], contest.reference[samples], contest.memory, contest.drop)


def _paired(right: NDArray[np.bool_], reference: NDArray[np.bool_], drop: float) -> float:
    lost, gained = int((reference & ~right).sum()), int((right & ~reference).sum())
    return paired_risk(lost, gained, len(right), drop)
