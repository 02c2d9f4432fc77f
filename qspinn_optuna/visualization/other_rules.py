"""What other rules would choose, as labelled points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from qspinn_optuna.front import Candidate
from qspinn_optuna.selection import Choice
from qspinn_optuna.visualization.style import INK

OTHER_RULES = "other rules"
"""Name of the trace."""


def names_by_trial(choices: Mapping[str, Choice]) -> dict[int, str]:
    """Names of rules by the trial that they choose, from choices by the names of their rules."""
    found: dict[int, list[str]] = {}
    for name, choice in choices.items():
        found.setdefault(choice.trial_number, []).append(name)
    return {trial: ", ".join(names) for trial, names in found.items()}


def other_rules_trace(members: Sequence[Candidate], names: Mapping[int, str], **options: Any) -> go.Scatter:
    """Open stars with the names of the rules beside them.

    Args:
        members: What is shown of the front.
        names: What :func:`names_by_trial` gives.
        options: More options of the trace.
    """
    shown = [candidate for candidate in members if candidate.trial_number in names]
    # Of neighbours, the more accurate one has its label above.
    ranks = {
        candidate.trial_number: rank for rank, candidate in enumerate(sorted(shown, key=lambda one: -one.accuracy))
    }
    return go.Scatter(
        x=[candidate.memory_kib for candidate in shown],
        y=[100 * candidate.accuracy for candidate in shown],
        mode="markers+text",
        marker={"color": INK, "symbol": "star-open", "size": 13, "line": {"width": 1.5}},
        text=[names[candidate.trial_number] for candidate in shown],
        textposition=["bottom right" if ranks[one.trial_number] % 2 else "top right" for one in shown],
        textfont={"size": 11, "color": INK},
        name=OTHER_RULES,
        hoverinfo="skip",
        cliponaxis=False,
        **options,
    )
