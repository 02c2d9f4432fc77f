"""The columns of figures that compare the candidates of a front."""

from __future__ import annotations

from qspinn_optuna.front import Candidate, ParetoFront
from qspinn_optuna.selection import Choice
from qspinn_optuna.visualization.style import CHOICE_MARK

_UPRIGHT = 12
"""Most columns whose labels fit side by side."""


def column_labels(front: ParetoFront, choice: Choice | None) -> list[str]:
    """Compression, accuracy and trial number of every candidate, the choice with a star."""
    return [_label(candidate, choice, "<br>" if len(front) <= _UPRIGHT else ", ") for candidate in front]


def column_axis(front: ParetoFront) -> dict[str, object]:
    """An axis of these labels, rotated if there are many."""
    return {
        "title": {"text": "compression, accuracy and trial"},
        "type": "category",
        "tickangle": None if len(front) <= _UPRIGHT else -90,
        "showgrid": False,
    }


def star_legend(choice: Choice | None) -> str:
    """The end of a subtitle that explains the star of the choice; empty without a choice."""
    return "" if choice is None else f"; {CHOICE_MARK}: the choice"


def _label(candidate: Candidate, choice: Choice | None, separator: str) -> str:
    parts = (f"{candidate.compression:.1f}x", f"{candidate.accuracy:.1%}", f"trial {candidate.trial_number}")
    label = separator.join(parts)
    if choice is not None and choice.trial_number == candidate.trial_number:
        return f"<b>{CHOICE_MARK} {label}</b>"
    return label
