"""The figure of accuracy by scheme and rounding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import optuna
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.front import nondominated
from qspinn_optuna.study import TrialRecord
from qspinn_optuna.visualization.checks import finished_records
from qspinn_optuna.visualization.hover import describe_trial
from qspinn_optuna.visualization.style import CROWD, ROUNDINGS, SCHEMES, apply_style, memory_axis

_PANEL_HEIGHT = 250
_GAP = 0.34
"""Space between two panels, as a share of their height: four lines and a title fit into 450 pixels, too."""

_SMALL = 10
"""Size of the letters of pairs: six stand side by side in 420 pixels."""

_FEWEST = 5
"""Fewest trials of a box: quartiles of fewer say nothing that their points do not."""

_CLEAR = "rgba(0, 0, 0, 0)"

_TALLEST = 20.0
"""Most points of accuracy on the axes, unless half of the trials would be outside."""

_LOWEST = 5.0
"""Fewest points of accuracy on the axes, if the trials span them."""

_FAR_OUT = 3.0
"""Tukey's factor for outliers: interquartile ranges below the lower quartile."""


def plot_schemes_and_roundings(study: optuna.Study) -> go.Figure:
    """Accuracy by scheme and rounding, of all finished trials, feasible or not.

    The upper panel has a box and the n points of each pair of a scheme and a rounding. Boxes are not comparable if a
    sampler tries more widths where accuracy is high; the best accuracy of each pair within a memory, in the lower
    panel, is. Trials that failed badly are outside the axes and counted for each pair; they are visible after zooming
    out. If every family has its own rounding, there are two such panels for each family.

    Example:
        >>> figure = plot_schemes_and_roundings(study)

    Args:
        study: The study.

    Raises:
        TypeError: If ``study`` is not a study.
        ValueError: If it has no finished trial or is of another program.
    """
    records = finished_records(study)
    dimensions = _rounding_dimensions(study, records)
    rows = 2 * len(dimensions)
    figure = make_subplots(
        rows,
        1,
        subplot_titles=[
            title
            for dimension in dimensions
            for title in (f"all trials, by {_words(dimension)}", f"best within a memory, by {_words(dimension)}")
        ],
        vertical_spacing=2 * _GAP / rows,
    )
    accuracies = [100 * record.accuracy for record in records]
    low, high = _accuracy_range(accuracies)
    memories = [record.memory_kib for record in records]
    named: set[tuple[Scheme, Rounding]] = set()
    for row, dimension in zip(range(1, rows, 2), dimensions, strict=True):
        for scheme, rounding, members in _pairs(records, dimension):
            new = (scheme, rounding) not in named
            figure.add_trace(_box(scheme, rounding, members, low, len(records) > CROWD), row, 1)
            figure.add_trace(_best_within_memory(scheme, rounding, members, max(memories), new), row + 1, 1)
            named.add((scheme, rounding))
    apply_style(
        figure,
        f"{study.study_name}: accuracy by scheme",
        f"{len(records):,} finished trials; n: trials of a pair{_outside(accuracies, low)}",
        height=_PANEL_HEIGHT * rows + 120,
    )
    figure.update_yaxes(title={"text": "accuracy (%)"}, range=[low, high])
    for row in range(1, rows, 2):
        figure.update_xaxes(showgrid=False, tickangle=0, tickfont={"size": _SMALL}, row=row)
        figure.update_xaxes(memory_axis(memories), row=row + 1)
    return figure


def _rounding_dimensions(study: optuna.Study, records: Sequence[TrialRecord]) -> list[str]:
    names = dict.fromkeys(name for record in records for name in record.params if name.partition(".")[0] == "rounding")
    if not names or not all("scheme" in record.params for record in records):
        raise ValueError(
            f"Study {study.study_name!r} has trials without the parameters 'scheme' and 'rounding': figures need the "
            "parameters of a QuantizationSpace."
        )
    return list(names)


def _words(dimension: str) -> str:
    family = dimension.partition(".")[2]
    return f"rounding of {family}" if family else "rounding"


def _pairs(records: Sequence[TrialRecord], dimension: str) -> Iterator[tuple[Scheme, Rounding, list[TrialRecord]]]:
    """Scheme, rounding and records of every pair with trials."""
    for scheme in Scheme:
        for rounding in Rounding:
            wanted = (scheme.value, rounding.value)
            members = [each for each in records if (each.params["scheme"], each.params.get(dimension)) == wanted]
            if members:
                yield scheme, rounding, members


def _box(scheme: Scheme, rounding: Rounding, members: Sequence[TrialRecord], low: float, crowded: bool) -> go.Box:
    outside = sum(100 * record.accuracy < low for record in members)
    label = f"{scheme.upper()}<br>{rounding}<br>n = {len(members)}{f'<br>{outside} lower' if outside else ''}"
    color = ROUNDINGS[rounding].color
    points = {"size": 3, "opacity": 0.25} if crowded else {"size": 5, "opacity": 0.6}
    has_box = len(members) >= _FEWEST
    return go.Box(
        x=[label] * len(members),
        y=[100 * record.accuracy for record in members],
        name=label,
        boxpoints="all",
        jitter=0.5,
        pointpos=0,
        line={"color": color if has_box else _CLEAR, "width": 1.5},
        fillcolor=_CLEAR,
        marker={"color": color, "symbol": SCHEMES[scheme].symbol, **points},
        showlegend=False,
        text=[describe_trial(record) for record in members],
        hovertemplate="%{text}<extra></extra>",
        hoveron="points",
    )


def _best_within_memory(
    scheme: Scheme, rounding: Rounding, members: Sequence[TrialRecord], last_kib: float, in_legend: bool
) -> go.Scatter:
    """The front of a pair as a staircase, drawn to the largest memory of the study."""
    best = nondominated(members, lambda record: (record.memory_kib, record.accuracy, record.number))
    name = f"{scheme.upper()}, {rounding}"
    return go.Scatter(
        x=[*(record.memory_kib for record in best), last_kib],
        y=[*(100 * record.accuracy for record in best), 100 * best[-1].accuracy],
        mode="lines+markers",
        line={"color": ROUNDINGS[rounding].color, "width": 2, "shape": "hv", "dash": SCHEMES[scheme].dash},
        marker={"symbol": SCHEMES[scheme].symbol, "size": [7] * len(best) + [0], "line": {"width": 0}},
        name=name,
        legendgroup=name,
        showlegend=in_legend,
        text=[*map(describe_trial, best), f"{name}: no better one with more memory"],
        hovertemplate="%{text}<extra></extra>",
    )


def _accuracy_range(accuracies: Sequence[float]) -> tuple[float, float]:
    """Ends of the accuracy axes, percent, without trials that failed badly: those would flatten the rest."""
    high = max(accuracies)
    lower, median, upper = np.quantile(accuracies, (0.25, 0.5, 0.75))
    fence = lower - _FAR_OUT * (upper - lower)
    low = max(min(fence, high - _LOWEST), min(high - _TALLEST, median))
    # The axis begins at a trial, and spans at least one point.
    low = min([accuracy for accuracy in accuracies if accuracy >= low] + [high - 1.0])
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def _outside(accuracies: Sequence[float], low: float) -> str:
    lower = [accuracy for accuracy in accuracies if accuracy < low]
    return f"<br>{len(lower)} lower than the axes, down to {min(lower):.1f}%" if lower else ""
