"""What other rules would choose, as labelled points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from qspinn_optuna.front import Candidate, ParetoFront
from qspinn_optuna.selection import (
    Choice,
    KneeSelector,
    OneStandardErrorSelector,
    Selector,
    SmallestSelector,
    TradeOffSelector,
)
from qspinn_optuna.visualization.style import INK

RULES: Mapping[str, Selector] = {
    "smallest": SmallestSelector(),
    "knee": KneeSelector(),
    "one standard error": OneStandardErrorSelector(),
    "reward, mu = 0.1": TradeOffSelector(0.1),
}
"""Rules that need no number of the user's, by the words of their labels."""


OTHER_RULES = "other rules"
"""Name of the trace."""


def other_choices(front: ParetoFront, choice: Choice | None) -> dict[int, str]:
    """Names of other rules by the trial that they choose; without the chosen one."""
    found: dict[int, list[str]] = {}
    for name, selector in RULES.items():
        try:
            chosen = selector.select(front).trial_number
        except ValueError:
            continue  # The front has too few models for this rule, or no floor.
        found.setdefault(chosen, []).append(name)
    if choice is not None:
        found.pop(choice.trial_number, None)
    return {trial: ", ".join(names) for trial, names in found.items()}


def other_rules_trace(members: Sequence[Candidate], names: Mapping[int, str], **options: Any) -> go.Scatter:
    """Open stars with the names of the rules beside them.

    Args:
        members: What is shown of the front.
        names: What :func:`other_choices` gives.
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
