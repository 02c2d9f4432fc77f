"""The figure of what schemes and roundings do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial
from plotly.subplots import make_subplots

from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.visualization.checks import finished_trials
from qspinn_optuna.visualization.hover import describe_trial
from qspinn_optuna.visualization.style import CROWD, ROUNDINGS, SCHEMES, apply_style, memory_axis

_PANEL_HEIGHT = 320
_TALLEST = 20.0
"""Points of accuracy that the axis of the best trials spans at most."""


def plot_schemes_and_roundings(study: optuna.Study) -> go.Figure:
    """Accuracy by scheme and rounding, of all finished trials, feasible or not.

    First a box and the points of each pair with their number n: what was tried. A sampler tries more widths around what
    works, so boxes do not compare like with like; below is the best accuracy of each pair within a memory, which does.
    Its axis ends 20 points under the best. Where each family has a rounding of its own, there are two such panels for
    each.

    Args:
        study: The study.

    Raises:
        TypeError: If ``study`` is no study.
        ValueError: If it has no finished trial or is of another program.
    """
    trials = finished_trials(study)
    dimensions = _rounding_dimensions(study, trials)
    rows = 2 * len(dimensions)
    figure = make_subplots(
        rows,
        1,
        subplot_titles=[
            title
            for dimension in dimensions
            for title in (f"all trials, by {_words(dimension)}", f"best within a memory, by {_words(dimension)}")
        ],
        vertical_spacing=100 / (_PANEL_HEIGHT * rows),
    )
    memories = [trial.values[0] for trial in trials]
    named: set[tuple[Scheme, Rounding]] = set()
    for row, dimension in zip(range(1, rows, 2), dimensions, strict=True):
        for scheme, rounding, members in _pairs(trials, dimension):
            new = (scheme, rounding) not in named
            figure.add_trace(_box(scheme, rounding, members, len(trials) > CROWD), row, 1)
            figure.add_trace(_best_within_memory(scheme, rounding, members, max(memories), new), row + 1, 1)
            named.add((scheme, rounding))
    apply_style(
        figure,
        f"{study.study_name}: accuracy by scheme and rounding",
        f"{len(trials):,} finished trials; n: trials of a pair",
        height=_PANEL_HEIGHT * rows + 140,
    )
    figure.update_yaxes(title={"text": "accuracy (%)"})
    for row in range(1, rows, 2):
        figure.update_xaxes(showgrid=False, row=row)
        figure.update_xaxes(memory_axis(memories), row=row + 1)
        figure.update_yaxes(range=_range_of_best(trials), row=row + 1)
    return figure


def _rounding_dimensions(study: optuna.Study, trials: Sequence[FrozenTrial]) -> list[str]:
    names = dict.fromkeys(name for trial in trials for name in trial.params if name.partition(".")[0] == "rounding")
    if not names or not all("scheme" in trial.params for trial in trials):
        raise ValueError(
            f"Study {study.study_name!r} has trials without the parameters 'scheme' and 'rounding': figures need those "
            "of a QuantizationSpace."
        )
    return list(names)


def _words(dimension: str) -> str:
    family = dimension.partition(".")[2]
    return f"rounding of {family}" if family else "rounding"


def _pairs(trials: Sequence[FrozenTrial], dimension: str) -> Iterator[tuple[Scheme, Rounding, list[FrozenTrial]]]:
    """Scheme, rounding and trials of the pairs that occur."""
    for scheme in Scheme:
        for rounding in Rounding:
            wanted = (scheme.value, rounding.value)
            members = [trial for trial in trials if (trial.params["scheme"], trial.params.get(dimension)) == wanted]
            if members:
                yield scheme, rounding, members


def _box(scheme: Scheme, rounding: Rounding, members: Sequence[FrozenTrial], crowded: bool) -> go.Box:
    label = f"{scheme.upper()}<br>{rounding}<br>n = {len(members)}"
    color = ROUNDINGS[rounding].color
    points = {"size": 3, "opacity": 0.25} if crowded else {"size": 5, "opacity": 0.6}
    return go.Box(
        x=[label] * len(members),
        y=[100 * trial.values[1] for trial in members],
        name=label,
        boxpoints="all",
        jitter=0.5,
        pointpos=0,
        line={"color": color, "width": 1.5},
        fillcolor="rgba(0, 0, 0, 0)",
        marker={"color": color, "symbol": SCHEMES[scheme].symbol, **points},
        showlegend=False,
        text=[describe_trial(trial) for trial in members],
        hovertemplate="%{text}<extra></extra>",
        hoveron="points",
    )


def _best_within_memory(
    scheme: Scheme, rounding: Rounding, members: Sequence[FrozenTrial], last_kib: float, in_legend: bool
) -> go.Scatter:
    """The pair's own staircase, drawn to the largest memory of the study."""
    best: list[FrozenTrial] = []
    for trial in sorted(members, key=lambda trial: (trial.values[0], -trial.values[1], trial.number)):
        if not best or trial.values[1] > best[-1].values[1]:
            best.append(trial)
    name = f"{scheme.upper()}, {rounding}"
    return go.Scatter(
        x=[*(trial.values[0] for trial in best), last_kib],
        y=[*(100 * trial.values[1] for trial in best), 100 * best[-1].values[1]],
        mode="lines+markers",
        line={"color": ROUNDINGS[rounding].color, "width": 2, "shape": "hv", "dash": SCHEMES[scheme].dash},
        marker={"symbol": SCHEMES[scheme].symbol, "size": [7] * len(best) + [0], "line": {"width": 0}},
        name=name,
        legendgroup=name,
        showlegend=in_legend,
        text=[*map(describe_trial, best), f"{name}: no better one with more memory"],
        hovertemplate="%{text}<extra></extra>",
    )


def _range_of_best(trials: Sequence[FrozenTrial]) -> list[float]:
    """Percent, from the worst trial but at most so far under the best one that differences can be seen."""
    accuracies = [100 * trial.values[1] for trial in trials]
    high = max(accuracies)
    span = min(max(high - min(accuracies), 1.0), _TALLEST)
    return [high - 1.05 * span, high + 0.08 * span]
