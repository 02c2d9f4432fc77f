"""The figure of a significance report."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.significance import SignificanceReport, WidthCurve
from qspinn_optuna.visualization.style import INK, ROUNDINGS, apply_style

_COLUMNS = 3
_COLUMNS_OF_PAIRS = 2
_PANEL_HEIGHT = 200
_GAP = 48
"""Pixels between panels."""

_TITLE = 13
"""Size of a panel's title: two are side by side, in wide fonts, too."""

_APART = 0.015
"""Distance between lines that would coincide, as a share of the axis of widths."""

_DASHES = {Rounding.TRUNCATION: "dot", Rounding.NEAREST: "solid", Rounding.STOCHASTIC: "dash"}


def plot_significance(report: SignificanceReport) -> go.Figure:
    """Accuracy against the width of one parameter at a time, with a panel for each, the most significant first.

    Every rounding has a line with confidence intervals, slightly shifted from those of the others. A frame marks the
    narrowest sufficient width, whose accuracy is at or above the dashed line. Several schemes have panels side by side.
    Points far below the dashed line are outside the panels, and visible after zooming out.

    Example:
        >>> figure = plot_significance(report)

    Args:
        report: The report.

    Raises:
        TypeError: If ``report`` is not a report.
        ValueError: If it has no curves, a curve has no points, or an accuracy is not finite.
    """
    _check(report)
    schemes = list(dict.fromkeys(curve.scheme for curve in report.curves))
    roundings = list(dict.fromkeys(curve.rounding for curve in report.curves))
    panels = [(name, scheme) for name in report.ranking for scheme in schemes]
    columns = min(_COLUMNS if len(schemes) == 1 else _COLUMNS_OF_PAIRS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = make_subplots(
        rows,
        columns,
        shared_yaxes=True,
        subplot_titles=_titles(report.tiers, schemes),
        horizontal_spacing=0.02,
        vertical_spacing=_GAP / (_PANEL_HEIGHT * rows),
    )
    figure.update_annotations(font={"size": _TITLE})
    widths = [point.width for curve in report.curves for point in curve.points]
    apart = _APART * max(max(widths) - min(widths), 4)
    for curve in report.curves:
        place = panels.index((curve.parameter, curve.scheme))
        beside = apart * (roundings.index(curve.rounding) - (len(roundings) - 1) / 2)
        figure.add_traces(_traces(curve, beside), place // columns + 1, place % columns + 1)
    _name_once(figure)
    floor = report.baseline_accuracy - report.tolerance
    several = any(len(tier) > 1 for tier in report.tiers)
    figure.add_hline(y=100 * floor, line={"color": INK, "width": 1.5, "dash": "dash"})
    apply_style(
        figure,
        "Significance: one parameter narrowed",
        f"most significant first{'; same number: not told apart' if several else ''}<br>"
        f"dashed: accurate enough, {floor:.2%} (reference {report.baseline_accuracy:.2%})<br>"
        f"frame: the narrowest such width; bars: {report.confidence:.0%} confidence",
        height=_PANEL_HEIGHT * rows + 150,
    )
    ends = [min(widths) - 0.6, max(widths) + 0.6]
    figure.update_xaxes(dtick=2, tick0=0, tickformat="d", range=ends, showticklabels=False)
    for place in range(max(0, len(panels) - columns), len(panels)):
        position = {"row": place // columns + 1, "col": place % columns + 1}
        figure.update_xaxes(title={"text": "width (bits)"}, showticklabels=True, **position)
    figure.update_yaxes(range=_accuracy_range(report))
    figure.update_yaxes(title={"text": "accuracy (%)"}, col=1)
    return figure


def _titles(tiers: Sequence[Sequence[str]], schemes: Sequence[Scheme]) -> list[str]:
    """Titles of the panels: a number for each tier, the parameter, and the scheme if there are several."""
    numbered: list[str] = []
    for tier in tiers:
        place = len(numbered) + 1
        numbered += [f"{place}. {name}" for name in tier]
    return numbered if len(schemes) == 1 else [f"{name}<br>{scheme.upper()}" for name in numbered for scheme in schemes]


def _name_once(figure: go.Figure) -> None:
    """Show each line in the legend once."""
    named: set[str] = set()
    for trace in figure.data:
        trace.showlegend = trace.name == trace.legendgroup and trace.name not in named
        named.add(trace.name)


def _check(report: SignificanceReport) -> None:
    if not isinstance(report, SignificanceReport):
        raise TypeError(
            "report must be a SignificanceReport, such as measure_significance(workload, space), got "
            f"{type(report).__name__}."
        )
    if not report.curves:
        raise ValueError("report must have at least one curve, got none.")
    if not (math.isfinite(report.baseline_accuracy) and math.isfinite(report.tolerance)):
        raise ValueError(
            f"report must have a finite baseline_accuracy and tolerance, got {report.baseline_accuracy} and "
            f"{report.tolerance}."
        )
    for curve in report.curves:
        if not curve.points:
            raise ValueError(f"report must have points for every parameter, got none for {curve.parameter!r}.")
        for point in curve.points:
            if not all(math.isfinite(value) for value in (point.accuracy, point.low, point.high)):
                raise ValueError(
                    f"report must have finite accuracies, got {point.accuracy} ({point.low} to {point.high}) for "
                    f"{curve.parameter!r} at {point.width} bits."
                )


def _traces(curve: WidthCurve, beside: float) -> list[go.Scatter]:
    """The line, shifted by ``beside`` bits, and the frame around its narrowest sufficient point, if there is one."""
    rounding = Rounding(curve.rounding)
    mark, name = ROUNDINGS[rounding], rounding.value
    points = sorted(curve.points, key=lambda point: point.width)
    heading = f"<b>{curve.parameter}</b><br>{curve.scheme.upper()}, {name}"
    line = go.Scatter(
        x=[point.width + beside for point in points],
        y=[100 * point.accuracy for point in points],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [100 * (point.high - point.accuracy) for point in points],
            "arrayminus": [100 * (point.accuracy - point.low) for point in points],
            "color": _translucent(mark.color),
            "thickness": 1.5,
            "width": 0,
        },
        mode="lines+markers",
        line={"color": mark.color, "width": 1.5, "dash": _DASHES[rounding]},
        marker={"symbol": mark.symbol, "size": 5},
        name=name,
        legendgroup=name,
        text=[
            f"{heading}<br>{point.width} bits, all others at their widest<br>{point.accuracy:.2%} "
            f"({point.low:.2%} to {point.high:.2%}){'' if point.seen else ', predicted'}"
            for point in points
        ],
        hovertemplate="%{text}<extra></extra>",
    )
    frame = go.Scatter(
        x=[point.width + beside for point in points if point.width == curve.narrowest],
        y=[100 * point.accuracy for point in points if point.width == curve.narrowest],
        mode="markers",
        marker={"color": mark.color, "symbol": f"{mark.symbol}-open", "size": 12, "line": {"width": 2}},
        name=f"{name}: narrowest",
        legendgroup=name,
        hoverinfo="skip",
    )
    return [line, frame] if frame.x else [line]


def _translucent(color: str) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.45)"


def _accuracy_range(report: SignificanceReport) -> list[float]:
    """Ends of the accuracy axis, percent: down to the lowest curve, at most fifteen tolerances, or five points."""
    points = [point for curve in report.curves for point in curve.points]
    low = max(min(point.low for point in points), report.baseline_accuracy - max(15 * report.tolerance, 0.05))
    high = max(report.baseline_accuracy, *(point.high for point in points))
    margin = 0.06 * (high - low)
    return [100 * (low - margin), 100 * (high + margin)]
