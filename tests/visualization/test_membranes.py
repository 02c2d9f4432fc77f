from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qspinn_optuna import QFormat
from qspinn_optuna.visualization import plot_membranes

VALUES = np.random.default_rng(0).normal(size=5_000)
FORMAT = QFormat(1, 2)
ROUNDED = np.clip(np.floor(VALUES * 4) / 4, FORMAT.min, FORMAT.max)


def test_shares_add_up_and_bins_are_grid_points() -> None:
    figure = plot_membranes({"lif1.v": VALUES}, {"lif1.v": ROUNDED}, {"lif1.v": FORMAT})
    bars, outline = figure.data
    assert sum(bars.y) == pytest.approx(100)
    assert sum(outline.customdata) == pytest.approx(100)
    assert bars.width == FORMAT.resolution
    for center, share in zip(outline.x, outline.customdata, strict=True):
        assert center % FORMAT.resolution == 0
        assert share == pytest.approx(100 * np.mean(np.equal(ROUNDED, center)))
        near = (center - 0.125 <= VALUES) & (center + 0.125 > VALUES)
        if center in bars.x:
            assert bars.y[bars.x.index(center)] == pytest.approx(100 * near.mean())
        else:
            assert not near.any()


def test_the_range_of_the_format_is_drawn_and_named() -> None:
    figure = plot_membranes({"lif1.v": VALUES}, {"lif1.v": ROUNDED}, {"lif1.v": FORMAT})
    assert sorted(shape.x0 for shape in figure.layout.shapes) == [FORMAT.min, FORMAT.max]
    assert figure.layout.annotations[0].text == "lif1.v: Q1.2, -2 to 1.75 in steps of 0.25"


def test_a_range_far_off_is_not_drawn() -> None:
    figure = plot_membranes({"lif1.v": VALUES}, {"lif1.v": VALUES}, {"lif1.v": QFormat(9, 8)})
    assert not figure.layout.shapes
    assert len(figure.data[0].x) <= 64


def test_a_panel_for_every_layer() -> None:
    layers = {f"lif{number}.v": VALUES + number for number in range(3)}
    figure = plot_membranes(layers, layers)
    assert [annotation.text for annotation in figure.layout.annotations] == list(layers)
    assert len(figure.data) == 6
    assert [trace.name for trace in figure.data if trace.showlegend] == ["before quantization", "after quantization"]


def test_all_values_may_be_the_same() -> None:
    bars = plot_membranes({"v": np.zeros(4)}, {"v": np.zeros(9)}).data[0]
    assert list(bars.y) == [100.0]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({}, {}, r"^before\b.*got none"),
        ({"a": VALUES}, {"b": VALUES}, r"^before and after\b.*got \['a'\] and \['b'\]"),
        ({"a": VALUES[:0]}, {"a": VALUES}, r"^before\['a'\].*got the shape \(0,\)"),
        ({"a": VALUES}, {"a": VALUES.reshape(2, -1)}, r"^after\['a'\].*got the shape \(2, "),
        ({"a": np.array([0.0, np.nan])}, {"a": VALUES}, r"^before\['a'\].*finite"),
        ({"a": VALUES}, {"a": np.array([np.inf])}, r"^after\['a'\].*finite"),
    ],
)
def test_bad_values_are_refused(before: Any, after: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_membranes(before, after)


def test_bad_types_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^before\b.*got ndarray"):
        plot_membranes(VALUES, {"a": VALUES})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^formats\['a'\].*got 'Q1\.2'"):
        plot_membranes({"a": VALUES}, {"a": VALUES}, {"a": "Q1.2"})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"^formats\b.*got \['b'\]"):
        plot_membranes({"a": VALUES}, {"a": VALUES}, {"b": FORMAT})
