from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from qspinn_optuna import Rounding, Scheme
from qspinn_optuna.significance import SignificanceReport, WidthCurve, WidthPoint
from qspinn_optuna.visualization import plot_significance

NEED = {"little": 1, "much": 5, "some": 3}


def accuracy(name: str, width: int) -> float:
    return 0.9 - max(0.0, 0.04 * (NEED[name] - width))


def make_report(schemes: tuple[Scheme, ...] = (Scheme.PTQ,)) -> SignificanceReport:
    curves = []
    for name, need in NEED.items():
        for scheme in schemes:
            for rounding in (Rounding.TRUNCATION, Rounding.NEAREST):
                points = tuple(
                    WidthPoint(
                        width, (value := accuracy(name, width)), value - 0.02, value + 0.01, round(1000 * value), 1000
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


def lines_of(figure: Any, panel: int) -> list[Any]:
    axis = "x" if panel == 0 else f"x{panel + 1}"
    return [trace for trace in figure.data if trace.mode == "lines+markers" and trace.xaxis == axis]


def test_a_panel_has_a_line_and_a_band_for_every_rounding() -> None:
    figure = plot_significance(make_report())
    for panel, name in enumerate(("much", "some", "little")):
        lines = lines_of(figure, panel)
        assert [line.name for line in lines] == ["truncation", "nearest"]
        for line in lines:
            assert list(line.x) == list(range(2, 9))
            assert list(line.y) == pytest.approx([100 * accuracy(name, width) for width in range(2, 9)])
            assert name in line.text[0]
            (band,) = [
                trace
                for trace in figure.data
                if trace.fill == "toself" and trace.xaxis == line.xaxis and trace.legendgroup == line.name
            ]
            assert list(band.y[:7]) == pytest.approx([y + 1 for y in line.y])
            assert list(band.y[:6:-1]) == pytest.approx([y - 2 for y in line.y])


def test_the_narrowest_width_and_the_tolerance_are_marked() -> None:
    figure = plot_significance(make_report())
    rings = [trace for trace in figure.data if trace.mode == "markers"]
    assert sorted(ring.x[0] for ring in rings) == [2, 2, 3, 3, 5, 5]
    assert {round(shape.y0, 9) for shape in figure.layout.shapes} == {89.0}
    assert len(figure.layout.shapes) == 3


def test_without_a_narrowest_width_there_is_no_ring() -> None:
    report = make_report()
    curves = tuple(dataclasses.replace(curve, narrowest=None) for curve in report.curves)
    figure = plot_significance(dataclasses.replace(report, curves=curves))
    assert [trace for trace in figure.data if trace.mode == "markers"] == []


def test_several_schemes_are_told_apart_without_colours() -> None:
    lines = lines_of(plot_significance(make_report(tuple(Scheme))), 0)
    assert [line.name for line in lines] == ["PTQ, truncation", "PTQ, nearest", "ITQ, truncation", "ITQ, nearest"]
    assert len({(line.line.dash, line.marker.symbol) for line in lines}) == 4


def test_the_legend_names_each_once() -> None:
    shown = [trace.name for trace in plot_significance(make_report(tuple(Scheme))).data if trace.showlegend is True]
    assert len(shown) == len(set(shown)) == 4


def broken(**changes: float) -> SignificanceReport:
    report = make_report()
    points = report.curves[0].points
    curve = dataclasses.replace(report.curves[0], points=(dataclasses.replace(points[0], **changes), *points[1:]))  # type: ignore[arg-type]
    return dataclasses.replace(report, curves=(curve, *report.curves[1:]))


@pytest.mark.parametrize("name", ["accuracy", "low", "high"])
def test_values_must_be_finite(name: str) -> None:
    with pytest.raises(ValueError, match="'little' at 2 bits"):
        plot_significance(broken(**{name: math.nan}))


def test_bad_reports_are_refused() -> None:
    report = make_report()
    with pytest.raises(ValueError, match="at least one curve"):
        plot_significance(dataclasses.replace(report, curves=()))
    with pytest.raises(ValueError, match="finite baseline_accuracy"):
        plot_significance(dataclasses.replace(report, baseline_accuracy=math.nan))
    empty = dataclasses.replace(report.curves[0], points=())
    with pytest.raises(ValueError, match="none for 'little'"):
        plot_significance(dataclasses.replace(report, curves=(empty,)))
    with pytest.raises(TypeError, match=r"report must be a SignificanceReport.*got dict"):
        plot_significance({})  # type: ignore[arg-type]
