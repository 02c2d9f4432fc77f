"""What could be taken instead of a choice: the next smaller models, and what other rules choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import optuna

from qspinn_optuna.front import Candidate, ParetoFront
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.risk import Risk, StudyRisk
from qspinn_optuna.selection.rules import other_choices
from qspinn_optuna.tables import format_table
from qspinn_optuna.targets import Target

NEXT_SMALLER, CHOSEN = "next smaller", "chosen"

_STEPS = 3
"""Smaller models that are shown."""

_HEADER = ("trial", "ratio", "accuracy", "points", "risk", "taken by")


@dataclass(frozen=True)
class Step:
    """A model that is the choice, or could be taken instead.

    Example:
        >>> steps = steps_from(study, front, choice)
        >>> [step.taken_by for step in steps if step.gain == 0]
        ['chosen']

    Args:
        candidate: The model.
        taken_by: "next smaller", "chosen", or the rule that chooses it.
        gain: Its accuracy minus that of the choice, a fraction.
        risk: How likely its true accuracy is under the floor; None if that is not known.
    """

    candidate: Candidate
    taken_by: str
    gain: float
    risk: Risk | None

    def to_dict(self) -> dict[str, Any]:
        """The step as plain values for JSON."""
        return {
            "trial": self.candidate.trial_number,
            "taken_by": self.taken_by,
            "compression": self.candidate.compression,
            "accuracy": self.candidate.accuracy,
            "risk": None if self.risk is None else self.risk.probability,
        }

    @property
    def cells(self) -> list[str]:
        """Its row of the table."""
        return [
            str(self.candidate.trial_number),
            f"{self.candidate.compression:.2f}x",
            f"{self.candidate.accuracy:.2%}",
            "" if self.taken_by == CHOSEN else f"{100 * self.gain:+.2f}",
            "" if self.risk is None else self.risk.percent,
            self.taken_by,
        ]


def steps_from(
    study: optuna.Study, front: ParetoFront, choice: Choice, target: Target | None = None
) -> tuple[Step, ...]:
    """The next smaller models that none dominates, feasible or not, the choice, and those of other rules, by memory.

    Example:
        >>> for step in steps_from(study, front, choice)[2:5]:
        ...     print(step.candidate.trial_number, step.taken_by)
        6 next smaller
        8 chosen
        14 knee

    Args:
        study: The study.
        front: Its front.
        choice: The chosen model.
        target: The device that all but the choice must fit; any will do if not given.
    """
    risks = StudyRisk(study)
    smaller = [
        candidate
        for candidate in ParetoFront.from_study(study, target=target, feasible_only=False)
        if candidate.memory_kib < choice.memory_kib
    ]
    considered = front if target is None else ParetoFront.from_study(study, target=target)
    by_rules = [(other.candidate, name) for name, other in other_choices(considered, choice).items()]
    taken = {candidate.trial_number for candidate, _ in by_rules}
    models = [(candidate, NEXT_SMALLER) for candidate in smaller[-_STEPS:] if candidate.trial_number not in taken]
    models += [(choice.candidate, CHOSEN), *by_rules]
    return tuple(
        Step(candidate, name, candidate.accuracy - choice.accuracy, risks.of_trial(candidate.trial_number))
        for candidate, name in sorted(models, key=lambda model: model[0].memory_kib)
    )


def steps_table(steps: tuple[Step, ...]) -> str:
    """The steps, a line each.

    Example:
        >>> print(steps_table(steps_from(study, front, choice)[2:4]))
        trial  ratio  accuracy  points  risk  taken by
        -----  -----  --------  ------  ----  ------------
            6  8.00x    83.10%  -4.50    95%  next smaller
            8  7.99x    87.60%            1%  chosen
    """
    return format_table(_HEADER, [step.cells for step in steps])
