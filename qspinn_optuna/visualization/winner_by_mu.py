"""The figure of the model that each mu of the trade-off selects."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from qspinn_optuna.front import ParetoFront, check_front
from qspinn_optuna.selection import MuInterval, sweep_mu
from qspinn_optuna.visualization.hover import describe_candidate
from qspinn_optuna.visualization.style import INK, SCHEMES, apply_style

_BEYOND = 10.0
"""Largest factor from the outermost limits to the ends of the axis: the first and last interval have no own end."""

_THOUSAND = 1_000

_NAMED = 2
"""Winners beyond the axis that the subtitle names, the last ones."""

_ROOM_FOR_LABEL = 0.06
"""Width of a trial number, as a share of the axis."""


def plot_winner_by_mu(front: ParetoFront) -> go.Figure:
    """Compression and accuracy of the candidate with the largest reward, against mu.

    Points have trial numbers. The first winner wins down to mu = 0. The axis ends at the mu from which on no reward is
    positive, since memory costs more than any accuracy; the subtitle names the winners beyond.

    Example:
        >>> figure = plot_winner_by_mu(front)

    Args:
        front: The front.

    Raises:
        TypeError: If ``front`` is not a front.
        ValueError: If it is empty, or one of its numbers is impossible.
    """
    check_front(front)
    intervals = sweep_mu(front)
    first, last = _mu_range(front, intervals)
    winners = [interval for interval in intervals if interval.low < last]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    spans = [(max(winner.low, first), min(winner.high, last)) for winner in winners]
    for row, values in enumerate(
        (
            [winner.candidate.compression for winner in winners],
            [100 * winner.candidate.accuracy for winner in winners],
        ),
        1,
    ):
        _add_steps(figure, spans, values, row)
        _add_winners(figure, winners, spans, values, row, math.log(last / first))
        figure.update_yaxes(range=_range_with_labels(values), row=row)
    apply_style(
        figure,
        "What is chosen for which mu",
        f"{len(intervals)} of {len(front)} models of the front win somewhere; numbers: trials"
        f"{_beyond(intervals[len(winners) :], last)}",
        height=560,
    )
    limits = [math.log10(first), math.log10(last)]
    figure.update_xaxes(type="log", range=limits, tickformat="~g", dtick=1)
    figure.update_xaxes(title={"text": "mu (accuracy - mu * relative memory)"}, row=2)
    figure.update_yaxes(title={"text": "compression (x)"}, row=1)
    figure.update_yaxes(title={"text": "accuracy (%)"}, row=2)
    return figure


def _mu_range(front: ParetoFront, intervals: Sequence[MuInterval]) -> tuple[float, float]:
    """Ends of the axis of mu, around the limits between winners, as long as a reward is positive."""
    limits = [interval.low for interval in intervals if interval.low > 0]
    if not limits:
        return 0.01, 1.0
    worthless = max(front.baseline_kib * candidate.accuracy / candidate.memory_kib for candidate in front)
    last = min(max(limits) * _BEYOND, worthless)
    return min(*limits, last) / _BEYOND, last


def _beyond(intervals: Sequence[MuInterval], last: float) -> str:
    """The part of the subtitle that names the winners beyond the axis."""
    if not intervals:
        return ""
    named = [
        f"trial {interval.candidate.trial_number} from {_plain(interval.low)} on" for interval in intervals[-_NAMED:]
    ]
    more = f"{len(intervals) - _NAMED} more, " if len(intervals) > _NAMED else ""
    return f"<br>over mu = {last:.3g} no reward is positive; there win {more}{', '.join(named)}"


def _plain(mu: float) -> str:
    return f"{mu:.3g}" if mu < _THOUSAND else f"{mu:,.0f}"


def _add_steps(figure: go.Figure, spans: Sequence[tuple[float, float]], values: Sequence[float], row: int) -> None:
    figure.add_trace(
        go.Scatter(
            x=[end for span in spans for end in span],
            y=[value for value in values for _ in range(2)],
            mode="lines",
            line={"color": INK, "width": 2},
            showlegend=False,
            hoverinfo="skip",
        ),
        row,
        1,
    )


def _add_winners(
    figure: go.Figure,
    winners: Sequence[MuInterval],
    spans: Sequence[tuple[float, float]],
    values: Sequence[float],
    row: int,
    width: float,
) -> None:
    """A point in the middle of every step, in the colour of its scheme, with its trial number if that fits."""
    for scheme, mark in SCHEMES.items():
        members = [place for place, winner in enumerate(winners) if winner.candidate.config.scheme is scheme]
        if not members:
            continue
        roomy = {place for place in members if math.log(spans[place][1] / spans[place][0]) > _ROOM_FOR_LABEL * width}
        figure.add_trace(
            go.Scatter(
                x=[math.sqrt(math.prod(spans[place])) for place in members],
                y=[values[place] for place in members],
                mode="markers+text",
                marker={"color": mark.color, "symbol": mark.symbol, "size": 9},
                text=[str(winners[place].candidate.trial_number) if place in roomy else "" for place in members],
                textposition="top center",
                cliponaxis=False,
                name=scheme.upper(),
                legendgroup=scheme.value,
                showlegend=row == 1,
                customdata=[_describe(winners[place]) for place in members],
                hovertemplate="%{customdata}<extra></extra>",
            ),
            row,
            1,
        )


def _range_with_labels(values: Sequence[float]) -> list[float]:
    """Ends of an axis with room for the trial numbers above the points."""
    span = max(values) - min(values) or 0.1 * max(values) or 1.0
    return [min(values) - 0.08 * span, max(values) + 0.22 * span]


def _describe(winner: MuInterval) -> str:
    high = "any larger one" if math.isinf(winner.high) else f"{winner.high:.4g}"
    return f"<b>mu from {winner.low:.4g} to {high}</b><br>{describe_candidate(winner.candidate)}"
