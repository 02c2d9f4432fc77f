"""The curves of a comparison of samplers: their means, a table and a figure of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots
from search_run import Run

CHECKPOINTS = (25, 50, 100)
"""Trials after which the printed table gives the regret."""

OURS = ("memory-aware", "memory-aware-pruned")

# Okabe and Ito's colours, told apart by colour-blind people too, with a dash each.
_STYLES = {
    "random": ("#999999", "dot"),
    "nsgaii": ("#009E73", "dashdot"),
    "tpe": ("#56B4E9", "dash"),
    "tpe-multivariate": ("#0072B2", "solid"),
    "gp": ("#E69F00", "longdash"),
    "memory-aware": ("#D55E00", "solid"),
    "memory-aware-pruned": ("#CC79A7", "dash"),
}
_NAMES = {
    "random": "random",
    "nsgaii": "NSGA-II",
    "tpe": "TPE",
    "tpe-multivariate": "TPE, multivariate",
    "gp": "Gaussian process",
    "memory-aware": "memory-aware",
    "memory-aware-pruned": "memory-aware, pruned",
}

_TICKS = [digit * 10.0**exponent for exponent in range(-7, 1) for digit in (1, 2, 5)]
_TICKS_TEXT = [f"{tick:g}" for tick in _TICKS]


def summarize(runs: Iterable[Run], trials: int) -> dict[str, Any]:
    """Means and standard errors over the seeds, by problem and sampler."""
    groups: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        groups.setdefault(run.problem, {}).setdefault(run.sampler, []).append(run)
    problems = {
        problem: {sampler: _summary(members, trials) for sampler, members in samplers.items()}
        for problem, samplers in groups.items()
    }
    return {"trials": trials, "problems": problems}


def table_lines(curves: Mapping[str, Any]) -> list[str]:
    """The comparison as a Markdown table."""
    trials = curves["trials"]
    checkpoints = [checkpoint for checkpoint in CHECKPOINTS if checkpoint < trials] + [trials]
    columns = ["problem", "sampler", *(f"regret at {checkpoint}" for checkpoint in checkpoints)]
    columns += [f"of the best built-in at {checkpoint}" for checkpoint in checkpoints]
    columns += ["s per suggestion", "duplicates", "samples per trial"]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for problem, samplers in curves["problems"].items():
        for sampler in sorted(samplers, key=list(_NAMES).index):
            summary = samplers[sampler]
            cells = [problem, _NAMES[sampler]]
            regret = summary["regret"]
            cells += [f"{regret['mean'][at - 1]:.4f} ± {regret['standard_error'][at - 1]:.4f}" for at in checkpoints]
            cells += [_ratio(samplers, sampler, at) for at in checkpoints]
            cells += [f"{summary['seconds_per_suggestion']:.3f}", f"{summary['duplicates']:.0%}"]
            lines.append(f"| {' | '.join(cells)} | {summary['samples_per_trial']:,.0f} |")
    return lines


def plot(curves: Mapping[str, Any]) -> go.Figure:
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
        for sampler in sorted(samplers, key=list(_NAMES).index):
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


def _summary(runs: Sequence[Run], trials: int) -> dict[str, Any]:
    """Of the runs of one sampler on one problem."""
    regret = np.array([run.regret[:trials] for run in runs])
    samples = np.array([run.samples[:trials] for run in runs]).cumsum(axis=1)
    # From where all runs have evaluated something to where the first one ends, so that all points are of all runs.
    grid = np.linspace(samples[:, 0].max(), samples[:, -1].min(), trials)
    places = [np.searchsorted(own, grid, side="right") - 1 for own in samples]
    by_samples = np.array([own[place] for own, place in zip(regret, places, strict=True)])
    return {
        "seeds": len(runs),
        "regret": {"trials": list(range(1, trials + 1)), **_mean(regret)},
        "regret_by_samples": {"samples": grid.round().astype(int).tolist(), **_mean(by_samples)},
        "seconds_per_suggestion": statistics.mean(second for run in runs for second in run.seconds[:trials]),
        "duplicates": statistics.mean(repeated for run in runs for repeated in run.repeated[:trials]),
        "samples_per_trial": float(samples[:, -1].mean() / trials),
    }


def _mean(values: NDArray[np.float64]) -> dict[str, list[float]]:
    """Mean over the runs, and its standard error."""
    runs = len(values)
    error = values.std(axis=0, ddof=1) / math.sqrt(runs) if runs > 1 else np.zeros(values.shape[1])
    return {"mean": values.mean(axis=0).tolist(), "standard_error": error.tolist()}


def _ratio(samplers: Mapping[str, Any], sampler: str, trial: int) -> str:
    """Regret of a sampler as a share of that of Optuna's best one."""
    built_in = [summary["regret"]["mean"][trial - 1] for name, summary in samplers.items() if name not in OURS]
    best = min(built_in, default=0.0)
    return f"{samplers[sampler]['regret']['mean'][trial - 1] / best:.2f}" if best > 0 else "-"


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
        line={"color": color, "dash": dash, "width": 3 if sampler in OURS else 2},
        name=_NAMES[sampler],
        legendgroup=sampler,
    )
    return band, line
