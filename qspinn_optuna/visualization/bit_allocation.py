"""The figure of bit allocation along a front."""

from __future__ import annotations

import plotly.graph_objects as go

from qspinn_optuna.front import Candidate, ParetoFront, check_front
from qspinn_optuna.selection import Choice
from qspinn_optuna.visualization.checks import check_choice
from qspinn_optuna.visualization.hover import describe_candidate
from qspinn_optuna.visualization.members import column_axis, column_labels, star_legend
from qspinn_optuna.visualization.style import apply_style

_ROW_HEIGHT = 34


def plot_bit_allocation(front: ParetoFront, choice: Choice | None = None) -> go.Figure:
    """The width of every parameter, in bits, for every candidate of a front, the smallest model first.

    Example:
        >>> figure = plot_bit_allocation(front, choice)

    Args:
        front: The front.
        choice: The chosen candidate, if any; its column has a star.

    Raises:
        TypeError: If ``front`` is not a front, or ``choice`` is not a choice.
        ValueError: If the front is empty, or one of its numbers is impossible.
    """
    check_front(front)
    check_choice(choice)
    names = list(dict.fromkeys(name for candidate in front for name in candidate.config.bits))
    figure = go.Figure(
        go.Heatmap(
            x=column_labels(front, choice),
            y=names,
            z=[[candidate.config.bits.get(name) for candidate in front] for name in names],
            text=[[_describe(candidate, name) for candidate in front] for name in names],
            texttemplate="%{z}",
            hovertemplate="%{text}<extra></extra>",
            hoverongaps=False,
            colorscale="Cividis",
            showscale=False,
            xgap=2,
            ygap=2,
        )
    )
    apply_style(
        figure,
        "Bits of every parameter along the front",
        f"from the smallest model to the most accurate{star_legend(choice)}",
        height=260 + _ROW_HEIGHT * len(names),
    )
    figure.update_xaxes(column_axis(front))
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return figure


def _describe(candidate: Candidate, name: str) -> str:
    if name not in candidate.config.parameters:
        return ""
    fmt = candidate.config[name].format
    return f"<b>{name}: {fmt.bits} bits, {fmt}</b><br>{describe_candidate(candidate)}"
