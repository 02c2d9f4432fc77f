from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from qspinn_optuna import Rounding, Scheme
from qspinn_optuna.significance import SignificanceReport, WidthCurve, WidthPoint
from qspinn_optuna.visualization import plot_significance

NEED = {"little": 1, "much": 5, "some": 3}
SEEN = 100_000


def accuracy(name: str, width: int) -> float:
    return 0.9 - max(0.0, 0.04 * (NEED[name] - width))


def make_report(schemes: tuple[Scheme, ...] = (Scheme.PTQ,)) -> SignificanceReport:
    curves = []
    for name, need in NEED.items():
        for scheme in schemes:
            for rounding in (Rounding.TRUNCATION, Rounding.NEAREST):
                points = tuple(
                    WidthPoint(
                        width, (value := accuracy(name, width)), value - 0.02, value + 0.01, round(SEEN * value), SEEN
                    )
                    for width in range(2, 9)
                )
                curves.append(WidthCurve(name, scheme, rounding, points, max(need, 2)))
    return SignificanceReport(tuple(curves), 0.9, 0.01, 0.95)


def test_panels_are_in_the_order_of_significance() -> None:
    report = make_report()
    figure = plot_significance(report)
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles[:3] == ["1. much", "2. some", "3. little"] == [f"{i}. {n}" for i, n in enumerate(report.ranking, 1)]


def test_parameters_of_a_tier_have_the_same_number() -> None:
    report = make_report()
    seldom = tuple(
        dataclasses.replace(
            curve, points=tuple(dataclasses.replace(p, correct=round(10 * p.accuracy), seen=10) for p in curve.points)
        )
        for curve in report.curves
    )
    figure = plot_significance(dataclasses.replace(report, curves=seldom))
    assert [annotation.text for annotation in figure.layout.annotations][:3] == ["1. much", "1. some", "1. little"]
    assert "same number" in figure.layout.title.text
    assert "same number" not in plot_significance(report).layout.title.text


def lines_of(figure: Any, panel: int) -> list[Any]:
    axis = "x" if panel == 0 else f"x{panel + 1}"
    return [trace for trace in figure.data if trace.mode == "lines+markers" and trace.xaxis == axis]


def test_a_panel_has_a_line_with_intervals_for_every_rounding() -> None:
    figure = plot_significance(make_report())
    for panel, name in enumerate(("much", "some", "little")):
        lines = lines_of(figure, panel)
        assert [line.name for line in lines] == ["truncation", "nearest"]
        for line in lines:
            assert [round(x) for x in line.x] == list(range(2, 9))
            assert list(line.y) == pytest.approx([100 * accuracy(name, width) for width in range(2, 9)])
            assert name in line.text[0]
            assert list(line.error_y.array) == pytest.approx([1] * 7)
            assert list(line.error_y.arrayminus) == pytest.approx([2] * 7)


def test_lines_that_coincide_are_drawn_beside_each_other() -> None:
    truncation, nearest = lines_of(plot_significance(make_report()), 0)
    assert list(truncation.y) == list(nearest.y)
    assert all(0.05 < right - left < 0.4 for left, right in zip(truncation.x, nearest.x, strict=True))
    assert truncation.line.dash != nearest.line.dash
    assert truncation.marker.symbol != nearest.marker.symbol


def test_the_narrowest_width_and_the_tolerance_are_marked() -> None:
    figure = plot_significance(make_report())
    frames = [trace for trace in figure.data if trace.mode == "markers"]
    assert sorted(round(frame.x[0]) for frame in frames) == [2, 2, 3, 3, 5, 5]
    assert {round(shape.y0, 9) for shape in figure.layout.shapes} == {89.0}
    assert len(figure.layout.shapes) == 3


def test_without_a_narrowest_width_there_is_no_frame() -> None:
    report = make_report()
    curves = tuple(dataclasses.replace(curve, narrowest=None) for curve in report.curves)
    figure = plot_significance(dataclasses.replace(report, curves=curves))
    assert [trace for trace in figure.data if trace.mode == "markers"] == []


def test_several_schemes_have_panels_beside_each_other() -> None:
    figure = plot_significance(make_report(tuple(Scheme)))
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles[:6] == [
        f"{name}<br>{scheme}" for name in ("1. much", "2. some", "3. little") for scheme in ("PTQ", "ITQ")
    ]
    for panel, title in enumerate(titles[:6]):
        lines = lines_of(figure, panel)
        assert [line.name for line in lines] == ["truncation", "nearest"]
        _, name, scheme = title.replace("<br>", " ").split()
        assert all(f"<b>{name}</b><br>{scheme}, " in line.text[0] for line in lines)


def test_all_panels_have_the_same_axes_and_the_lowest_ones_are_labelled() -> None:
    figure = plot_significance(make_report(tuple(Scheme)))
    axes = [figure.layout[f"xaxis{panel}" if panel > 1 else "xaxis"] for panel in range(1, 7)]
    assert len({axis.range for axis in axes}) == 1
    low, high = axes[0].range
    assert low < 2 - 0.2
    assert high > 8 + 0.2
    assert [axis.showticklabels for axis in axes] == [False, False, False, False, True, True]
    assert all("bits" in axis.title.text for axis in axes[4:])


def test_the_legend_names_each_once() -> None:
    shown = [trace.name for trace in plot_significance(make_report(tuple(Scheme))).data if trace.showlegend]
    assert shown == ["truncation", "nearest"]


def broken(**changes: float) -> SignificanceReport:
    report = make_report()
    points = report.curves[0].points
    curve = dataclasses.replace(report.curves[0], points=(dataclasses.replace(points[0], **changes), *points[1:]))  # type: ignore[arg-type]
    return dataclasses.replace(report, curves=(curve, *report.curves[1:]))


@pytest.mark.parametrize("name", ["accuracy", "low", "high"])
def test_values_must_be_finite(name: str) -> None:
    with pytest.raises(ValueError, match=r"^report\b.*'little' at 2 bits"):
        plot_significance(broken(**{name: math.nan}))


def test_bad_reports_are_refused() -> None:
    report = make_report()
    with pytest.raises(ValueError, match=r"^report\b.*curve.*got none"):
        plot_significance(dataclasses.replace(report, curves=()))
    with pytest.raises(ValueError, match=r"^report\b.*baseline_accuracy.*got nan"):
        plot_significance(dataclasses.replace(report, baseline_accuracy=math.nan))
    empty = dataclasses.replace(report.curves[0], points=())
    with pytest.raises(ValueError, match=r"^report\b.*none for 'little'"):
        plot_significance(dataclasses.replace(report, curves=(empty,)))
    with pytest.raises(TypeError, match=r"^report\b.*got dict"):
        plot_significance({})  # type: ignore[arg-type]
