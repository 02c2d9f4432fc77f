"""The figure of a comparison: regret against trials, and against evaluated samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from searching.contestants import PROPOSED
from searching.curves import TITLES

# Okabe and Ito's colours, which colour-blind people distinguish too, with a dash each.
_STYLES = {
    "random": ("#999999", "dot"),
    "nsgaii": ("#009E73", "dashdot"),
    "tpe-univariate": ("#56B4E9", "dash"),
    "tpe": ("#0072B2", "solid"),
    "gp": ("#E69F00", "longdash"),
    "gp-known": ("#E69F00", "solid"),
    "engineer": ("#000000", "solid"),
    "greedy": ("#000000", "dot"),
    "significance-first": ("#000000", "dash"),
    "integer-programme": ("#F0E442", "solid"),
    "memory-aware": ("#D55E00", "solid"),
    "memory-aware-pruned": ("#CC79A7", "dash"),
    "memory-aware-fitted-to-all": ("#000000", "dashdot"),
    "memory-aware-told": ("#D55E00", "dot"),
}

_TICKS = [digit * 10.0**exponent for exponent in range(-7, 1) for digit in (1, 2, 5)]
_TICKS_TEXT = [f"{tick:g}" for tick in _TICKS]


def plot_curves(curves: Mapping[str, Any]) -> go.Figure:
    """A row for each problem: regret against trials, and against evaluated samples."""
    problems = curves["problems"]
    figure = make_subplots(
        rows=len(problems),
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.04,
        vertical_spacing=0.24 / len(problems),
        subplot_titles=[title for problem in problems for title in (f"<b>{problem}</b>: by trials", "by samples")],
    )
    shown: set[str] = set()
    for row, samplers in enumerate(problems.values(), start=1):
        regrets = [value for summary in samplers.values() for value in summary["regret"]["mean"]]
        # A logarithmic axis has no place for the 0 of a front that was found whole.
        lowest = min((value for value in regrets if value > 0), default=1e-6) / 2
        for sampler in sorted(samplers, key=list(TITLES).index):
            for column, (axis, curve) in enumerate(_axes(samplers[sampler]), start=1):
                for trace in _traces(sampler, axis, curve, lowest):
                    trace.showlegend = trace.showlegend is not False and sampler not in shown
                    figure.add_trace(trace, row=row, col=column)
                shown.add(sampler)
        bounds = [math.log10(lowest), math.log10(max(*regrets, 2 * lowest)) + 0.1]
        figure.update_yaxes(type="log", range=bounds, tickvals=_TICKS, ticktext=_TICKS_TEXT, row=row)
        figure.update_yaxes(title_text="hypervolume regret (share)", row=row, col=1)
        figure.update_xaxes(title_text="trials", rangemode="tozero", row=row, col=1)
        figure.update_xaxes(title_text="evaluated samples", rangemode="tozero", row=row, col=2)
    height = 200 + 400 * len(problems)
    figure.update_layout(
        title={
            "text": "What is missing of the front: mean of the seeds, and a standard error to either side",
            **{"x": 0.01, "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 16}},
        },
        # Between the title and the first row, however many rows there are.
        legend={"orientation": "h", "y": 1 - 44 / height, "yref": "container", "yanchor": "top", "x": 0},
        margin={"t": 120},
        template="plotly_white",
        height=height,
        hovermode="x unified",
    )
    return figure


def _axes(summary: Mapping[str, Any]) -> Iterator[tuple[list[int], Mapping[str, list[float]]]]:
    """Of the two columns of the figure: the horizontal axis, and what is drawn over it."""
    yield summary["regret"]["trials"], summary["regret"]
    yield summary["regret_by_samples"]["samples"], summary["regret_by_samples"]


def _traces(
    sampler: str, axis: list[int], curve: Mapping[str, list[float]], lowest: float
) -> tuple[go.Scatter, go.Scatter]:
    """The band and the line of a sampler."""
    color, dash = _STYLES[sampler]
    mean, error = np.array(curve["mean"]), np.array(curve["standard_error"])
    low, high = np.maximum(mean - error, lowest), np.maximum(mean + error, lowest)
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    band = go.Scatter(
        x=[*axis, *axis[::-1]],
        y=[*high, *low[::-1]],
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.18)",
        line={"width": 0},
        hoverinfo="skip",
        legendgroup=sampler,
        showlegend=False,
    )
    line = go.Scatter(
        x=axis,
        y=np.maximum(mean, lowest),
        mode="lines",
        line={"color": color, "dash": dash, "width": 3 if sampler in PROPOSED else 2},
        name=TITLES[sampler],
        legendgroup=sampler,
    )
    return band, line
