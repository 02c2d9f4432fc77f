from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspinn_optuna import Candidate
from qspinn_optuna.selection import FunctionSelector, TradeOffSelector
from tests.selection.fronts import Point, front_of, points


def look_up(table: list[Any], candidate: Candidate) -> Any:
    return table[candidate.trial_number]


@settings(deadline=None)
@given(st.data())
def test_the_choice_equals_brute_force(data: st.DataObject) -> None:
    counts = data.draw(points)
    scores = data.draw(st.lists(st.integers(-2, 2), min_size=len(counts), max_size=len(counts)))
    choice = FunctionSelector(partial(look_up, scores)).select(front_of(counts))
    winner = min(range(len(counts)), key=lambda number: (-scores[number], counts[number][0], number))
    assert (choice.trial_number, choice.reward) == (winner, scores[winner])
    # A score without the accuracy has no noise.
    ties = [number for number, score in enumerate(scores) if score == scores[winner] and number != winner]
    assert [rival.trial_number for rival in choice.rivals] == ties


@settings(deadline=None)
@given(points, st.integers(0, 16).map(lambda eighths: eighths / 8))
def test_the_reward_as_a_function_is_the_trade_off(counts: list[Point], mu: float) -> None:
    front = front_of(counts)

    def reward(candidate: Candidate) -> float:
        return candidate.accuracy - mu * candidate.memory_kib / front.baseline_kib

    choice, other = FunctionSelector(reward).select(front), TradeOffSelector(mu).select(front)
    assert (choice.candidate, choice.reward, choice.rivals) == (other.candidate, other.reward, other.rivals)
    assert choice.rule == "largest score by reward"


def test_the_function_meets_no_accuracy_under_0() -> None:
    # One correct answer of 200, and an error of the difference of 0.7 points.
    choice = FunctionSelector(lambda candidate: math.sqrt(candidate.accuracy)).select(front_of([(1, 1), (2, 1)]))
    assert (choice.trial_number, len(choice.rivals)) == (0, 1)


@pytest.mark.parametrize("score", [True, np.float32(0.5), np.int64(3)])
def test_any_real_number_is_a_score(score: Any) -> None:
    assert FunctionSelector(lambda _: score).select(front_of([(1, 9)])).reward == float(score)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -math.inf])
def test_a_score_is_finite(score: float) -> None:
    with pytest.raises(ValueError, match=r"^function\b.*finite.*got .* for trial 1"):
        FunctionSelector(partial(look_up, [0.5, score, 0.1])).select(front_of([(1, 100), (2, 120), (3, 130)]))


@pytest.mark.parametrize("score", [None, "0.5", 1j, [0.5]])
def test_a_score_is_a_number(score: Any) -> None:
    with pytest.raises(TypeError, match=r"^function\b.*got .* for trial 1"):
        FunctionSelector(partial(look_up, [0.5, score, 0.1])).select(front_of([(1, 100), (2, 120), (3, 130)]))


def test_a_function_can_be_called() -> None:
    with pytest.raises(TypeError, match=r"^function\b.*got 'accuracy'"):
        FunctionSelector("accuracy")  # type: ignore[arg-type]
