"""What other rules would choose, as labelled points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from qspinn_optuna.front import Candidate
from qspinn_optuna.selection import Choice
from qspinn_optuna.visualization.style import INK

OTHER_RULES = "other rules"
"""Name of the trace."""

_LINES = 15
"""Lines of text that fit on top of each other into the lowest figure."""


def names_by_trial(choices: Mapping[str, Choice]) -> dict[int, str]:
    """Names of rules by the trial that they choose, from choices by the names of their rules."""
    found: dict[int, list[str]] = {}
    for name, choice in choices.items():
        found.setdefault(choice.trial_number, []).append(name)
    return {trial: ", ".join(names) for trial, names in found.items()}


def other_rules_trace(
    members: Sequence[Candidate], names: Mapping[int, str], middle_kib: float, height: float, **options: Any
) -> go.Scatter:
    """Open stars with the names of the rules beside them.

    Args:
        members: What is shown of the front.
        names: What :func:`names_by_trial` gives.
        middle_kib: Memory in the middle of its axis: names are where there is more room.
        height: Length of the axis of accuracy, in percent.
        options: More options of the trace.
    """
    shown = [candidate for candidate in members if candidate.trial_number in names]
    return go.Scatter(
        x=[candidate.memory_kib for candidate in shown],
        y=[100 * candidate.accuracy for candidate in shown],
        mode="markers+text",
        marker={"color": INK, "symbol": "star-open", "size": 13, "line": {"width": 1.5}},
        text=[names[candidate.trial_number] for candidate in shown],
        textposition=_places(shown, middle_kib, height / 100 / _LINES),
        textfont={"size": 11, "color": INK},
        name=OTHER_RULES,
        hoverinfo="skip",
        cliponaxis=False,
        **options,
    )


def _places(shown: Sequence[Candidate], middle_kib: float, near: float) -> list[str]:
    """Where names are: above, but of two of about the same accuracy the less accurate one has its name below."""
    sides: dict[int, str] = {}
    above = math.inf
    for candidate in sorted(shown, key=lambda one: -one.accuracy):
        is_free = above - candidate.accuracy > near
        above = candidate.accuracy if is_free else math.inf
        side = "left" if candidate.memory_kib > middle_kib else "right"
        sides[candidate.trial_number] = f"{'top' if is_free else 'bottom'} {side}"
    return [sides[candidate.trial_number] for candidate in shown]
