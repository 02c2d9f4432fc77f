from __future__ import annotations

import dataclasses

import pytest

from qspinn_optuna import ParetoFront, TradeOffSelector
from qspinn_optuna.visualization import plot_winner_by_mu
from tests.visualization.traces import points


def test_the_steps_show_what_the_selector_chooses(front: ParetoFront) -> None:
    """At values of mu all over the axis."""
    compression, accuracy = [trace for trace in plot_winner_by_mu(front).data if trace.mode == "lines"]
    ends = compression.x
    assert accuracy.x == ends
    checked = 0
    for start in range(0, len(ends), 2):
        low, high = ends[start : start + 2]
        for share in (0.01, 0.5, 0.99):
            winner = TradeOffSelector(low + share * (high - low)).select(front)
            assert compression.y[start : start + 2] == (winner.compression,) * 2
            assert accuracy.y[start : start + 2] == (100 * winner.accuracy,) * 2
            checked += 1
    assert checked >= 6
    assert list(ends[1:-1:2]) == list(ends[2::2])


def test_points_tell_range_and_configuration(front: ParetoFront) -> None:
    figure = plot_winner_by_mu(front)
    markers = [trace for trace in figure.data if trace.mode == "markers+text"]
    texts = [text for trace in markers for text in trace.customdata]
    assert any("mu from 0 to" in text for text in texts)
    assert any("any larger one" in text for text in texts)
    assert all("weight: " in text and "membrane: " in text for text in texts)
    low, high = (10**end for end in figure.layout.xaxis.range)
    assert all(low < x < high for trace in markers for x, _ in points(trace))


def test_a_single_candidate_wins_everywhere(front: ParetoFront) -> None:
    figure = plot_winner_by_mu(dataclasses.replace(front, candidates=front.candidates[:1]))
    assert [trace.y for trace in figure.data if trace.mode == "lines"] == [
        pytest.approx([front.candidates[0].compression] * 2),
        pytest.approx([100 * front.candidates[0].accuracy] * 2),
    ]
