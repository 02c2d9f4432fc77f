from __future__ import annotations

import dataclasses

import pytest

from qspinn_optuna import ParetoFront, TradeOffSelector
from qspinn_optuna.visualization import plot_winner_by_mu
from tests.visualization.traces import points


def test_the_steps_show_what_the_selector_chooses(front: ParetoFront) -> None:
    """Compared at values of mu over the whole axis."""
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
    assert all("weight: " in text and "membrane: " in text for text in texts)
    low, high = (10**end for end in figure.layout.xaxis.range)
    assert all(low < x < high for trace in markers for x, _ in points(trace))


def made(*members: tuple[float, float], of: ParetoFront) -> ParetoFront:
    """A front of (memory, accuracy) with an original of 100 KiB."""
    candidates = tuple(
        dataclasses.replace(
            of.candidates[0], trial_number=number, memory_kib=kib, compression=100 / kib, accuracy=accuracy
        )
        for number, (kib, accuracy) in enumerate(members)
    )
    return ParetoFront(candidates, 100.0)


def last_mu(front: ParetoFront) -> float:
    return float(10 ** plot_winner_by_mu(front).layout.xaxis.range[1])


def test_the_axis_ends_where_no_reward_is_positive_and_tells_who_wins_beyond(front: ParetoFront) -> None:
    """Trial 1 gains 60 points for 1 / 100,000 of the memory, and wins up to mu = 60,000."""
    wide = made((10.0, 0.2), (10.001, 0.8), (50.0, 0.9), of=front)
    figure = plot_winner_by_mu(wide)
    assert last_mu(wide) == pytest.approx(8.0, rel=1e-3)
    assert "over mu = 8 no reward is positive; there win trial 0 from 60,000 on" in figure.layout.title.text
    assert "3 of 3 models" in figure.layout.title.text
    assert {trace.y[-1] for trace in figure.data if trace.mode == "lines"} == {80.0, 100 / 10.001}
    rewards = [member.accuracy - last_mu(wide) * member.memory_kib / 100 for member in wide]
    assert max(rewards) == pytest.approx(0, abs=1e-9)


def test_of_many_winners_beyond_the_last_are_named(front: ParetoFront) -> None:
    steps = made(*((10.0 + 0.001 * n, 0.8 + 0.01 * n - 0.001 * n**2) for n in range(4)), (50.0, 0.9), of=front)
    assert "there win 1 more, trial 1 from 700 on, trial 0 from 900 on" in plot_winner_by_mu(steps).layout.title.text


def test_the_axis_ends_after_the_last_limit_where_that_is_small(front: ParetoFront) -> None:
    """The limit is 0.1 / 0.4."""
    gentle = made((10.0, 0.8), (50.0, 0.9), of=front)
    assert last_mu(gentle) == pytest.approx(2.5)
    assert "no reward" not in plot_winner_by_mu(gentle).layout.title.text
    texts = [text for trace in plot_winner_by_mu(gentle).data for text in trace.customdata or ()]
    assert any("mu from 0.25 to any larger one" in text for text in texts)


def test_if_all_limits_lie_beyond_the_most_accurate_is_shown_alone(front: ParetoFront) -> None:
    figure = plot_winner_by_mu(made((10.0, 0.2), (10.001, 0.8), of=front))
    assert {trace.y for trace in figure.data if trace.mode == "lines"} == {(80.0, 80.0), (100 / 10.001,) * 2}


def test_a_single_candidate_wins_everywhere(front: ParetoFront) -> None:
    figure = plot_winner_by_mu(dataclasses.replace(front, candidates=front.candidates[:1]))
    assert [trace.y for trace in figure.data if trace.mode == "lines"] == [
        pytest.approx([front.candidates[0].compression] * 2),
        pytest.approx([100 * front.candidates[0].accuracy] * 2),
    ]
