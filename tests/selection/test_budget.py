from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qspinn_optuna import Candidate, ParetoFront
from qspinn_optuna.selection import BudgetSelector
from tests.selection.fronts import CONFIG, Point, accuracy, front_of, is_boundary, is_within, points, squared_error


@settings(deadline=None)
@given(points, st.integers(1, 70))
def test_the_choice_equals_brute_force(counts: list[Point], budget: int) -> None:
    fitting = [number for number, point in enumerate(counts) if point[0] <= budget]
    if not fitting:
        with pytest.raises(ValueError, match=rf"^memory_kib\b.*\b{min(m for m, _ in counts)}\.0 KiB"):
            BudgetSelector(budget).select(front_of(counts))
        return
    choice = BudgetSelector(budget).select(front_of(counts))
    winner = max(fitting, key=lambda number: (counts[number][1], -counts[number][0], -number))
    assert (choice.trial_number, choice.reward) == (winner, choice.accuracy)

    leads = [
        (number, accuracy(counts[winner]) - accuracy(counts[number]), squared_error(counts[winner], counts[number]))
        for number in fitting
        if number != winner
    ]
    assume(not any(lead and is_boundary(lead, squared) for _, lead, squared in leads))
    expected = [number for number, lead, squared in leads if is_within(lead, squared)]
    assert [rival.trial_number for rival in choice.rivals] == expected


def test_a_candidate_may_fill_the_budget() -> None:
    choice = BudgetSelector(8).select(front_of([(4, 100), (8, 150), (9, 190)]))
    assert (choice.trial_number, choice.rule) == (1, "most accurate within 8 KiB")


def test_a_candidate_over_the_budget_is_not_a_rival() -> None:
    assert BudgetSelector(8).select(front_of([(8, 180), (9, 180)])).rivals == ()


def test_the_size_in_the_message_is_enough() -> None:
    memory = 43_691 / 8192
    front = ParetoFront((Candidate(7, CONFIG, memory, 12.0, 0.9),), 64.0)
    with pytest.raises(ValueError, match=rf"^memory_kib\b.*\b{memory!r} KiB of trial 7.*got 5\.33"):
        BudgetSelector(5.33).select(front)
    assert BudgetSelector(memory).select(front).trial_number == 7


@pytest.mark.parametrize("budget", [0, -1.0, float("nan"), float("inf"), "8", None])
def test_a_budget_is_positive(budget: float) -> None:
    with pytest.raises(ValueError, match=r"^memory_kib\b.*got"):
        BudgetSelector(budget)
