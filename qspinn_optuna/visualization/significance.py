"""The figure of a significance report."""

from __future__ import annotations

import math

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.significance import SignificanceReport, WidthCurve
from qspinn_optuna.visualization.style import INK, ROUNDINGS, Mark, apply_style

_COLUMNS = 3
_PANEL_HEIGHT = 230


def plot_significance(report: SignificanceReport) -> go.Figure:
    """Accuracy against the width of one parameter at a time, a panel a parameter, the most significant first.

    A line for every rounding (and scheme, if there are several) with its confidence interval as a band; a ring marks
    the narrowest width that is accurate enough, which is at the dashed line. What lies far under it is outside of the
    panels; zoom out to see it.

    Args:
        report: What was measured.

    Raises:
        TypeError: If ``report`` is no report.
        ValueError: If it has no curves, a curve has no points, or an accuracy is not finite.
    """
    _check(report)
    panels = list(report.ranking)
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = make_subplots(
        rows,
        columns,
        shared_yaxes=True,
        subplot_titles=[f"{place}. {name}" for place, name in enumerate(panels, 1)],
        horizontal_spacing=0.03,
        vertical_spacing=60 / (_PANEL_HEIGHT * rows),
    )
    several = len({curve.scheme for curve in report.curves}) > 1
    shown: set[str] = set()
    for curve in report.curves:
        place = panels.index(curve.parameter)
        row, column = place // columns + 1, place % columns + 1
        name = f"{curve.scheme.upper()}, {curve.rounding}" if several else str(curve.rounding)
        _add_curve(figure, curve, name, name not in shown, row, column)
        shown.add(name)
    floor = report.baseline_accuracy - report.tolerance
    figure.add_hline(y=100 * floor, line={"color": INK, "width": 1.5, "dash": "dash"})
    apply_style(
        figure,
        "Significance: accuracy with one parameter narrowed",
        f"most significant first; dashed: accurate enough, {floor:.2%} (reference {report.baseline_accuracy:.2%})<br>"
        f"ring: the narrowest such width; band: {report.confidence:.0%} confidence",
        height=_PANEL_HEIGHT * rows + 150,
    )
    figure.update_xaxes(dtick=2, tickformat="d")
    for place in range(len(panels)):
        if place + columns >= len(panels):
            title = {"text": "width (bits)"}
            figure.update_xaxes(title=title, row=place // columns + 1, col=place % columns + 1)
    figure.update_yaxes(range=_accuracy_range(report))
    figure.update_yaxes(title={"text": "accuracy (%)"}, col=1)
    return figure


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


def _add_curve(figure: go.Figure, curve: WidthCurve, name: str, in_legend: bool, row: int, column: int) -> None:
    mark = _mark(curve)
    points = sorted(curve.points, key=lambda point: point.width)
    widths = [point.width for point in points]
    accuracies = [100 * point.accuracy for point in points]
    figure.add_trace(
        go.Scatter(
            x=widths + widths[::-1],
            y=[100 * point.high for point in points] + [100 * point.low for point in reversed(points)],
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=_translucent(mark.color),
            legendgroup=name,
            showlegend=False,
            hoverinfo="skip",
        ),
        row,
        column,
    )
    heading = f"<b>{curve.parameter}</b><br>{curve.scheme.upper()}, {curve.rounding}"
    figure.add_trace(
        go.Scatter(
            x=widths,
            y=accuracies,
            mode="lines+markers",
            line={"color": mark.color, "width": 2, "dash": mark.dash},
            marker={"symbol": mark.symbol, "size": 6},
            name=name,
            legendgroup=name,
            showlegend=in_legend,
            text=[
                f"{heading}<br>{point.width} bits, all others at their widest<br>{point.accuracy:.2%} "
                f"({point.low:.2%} to {point.high:.2%}){'' if point.seen else ', predicted'}"
                for point in points
            ],
            hovertemplate="%{text}<extra></extra>",
        ),
        row,
        column,
    )
    if curve.narrowest in widths:
        figure.add_trace(
            go.Scatter(
                x=[curve.narrowest],
                y=[accuracies[widths.index(curve.narrowest)]],
                mode="markers",
                marker={"color": mark.color, "symbol": "circle-open", "size": 15, "line": {"width": 2}},
                name=f"{name}: narrowest",
                legendgroup=name,
                showlegend=False,
                hoverinfo="skip",
            ),
            row,
            column,
        )


def _mark(curve: WidthCurve) -> Mark:
    """The rounding gives the colour; networks quantized in training have open symbols and dashed lines."""
    mark = ROUNDINGS[Rounding(curve.rounding)]
    if Scheme(curve.scheme) is Scheme.ITQ:
        return Mark(mark.color, f"{mark.symbol}-open", "dash")
    return mark


def _translucent(color: str) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.2)"


def _accuracy_range(report: SignificanceReport) -> list[float]:
    """Percent: as far down as curves go, but at most fifteen tolerances, or five points."""
    points = [point for curve in report.curves for point in curve.points]
    low = max(min(point.low for point in points), report.baseline_accuracy - max(15 * report.tolerance, 0.05))
    high = max(report.baseline_accuracy, *(point.high for point in points))
    margin = 0.06 * (high - low)
    return [100 * (low - margin), 100 * (high + margin)]
