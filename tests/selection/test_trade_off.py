from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qspinn_optuna import Candidate, ParetoFront
from qspinn_optuna.selection import TradeOffSelector
from tests.selection.fronts import (
    BASELINE_KIB,
    CONFIG,
    Point,
    accuracy,
    front_of,
    is_boundary,
    is_within,
    points,
    squared_error,
)


def exact_front_of(counts: list[tuple[int, int]]) -> ParetoFront:
    """A front of (memory in KiB, accuracy in 256ths): sums of such numbers are exact."""
    candidates = [Candidate(i, CONFIG, float(m), BASELINE_KIB / m, a / 256) for i, (m, a) in enumerate(counts)]
    return ParetoFront(tuple(candidates), BASELINE_KIB)


eighths = st.integers(0, 32).map(lambda count: count / 8)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 64), st.integers(0, 256)), min_size=1, max_size=12), eighths)
def test_the_choice_equals_brute_force(counts: list[tuple[int, int]], mu: float) -> None:
    choice = TradeOffSelector(mu).select(exact_front_of(counts))
    rewards = [Fraction(a, 256) - Fraction(mu) * Fraction(m, 64) for m, a in counts]
    best = max(rewards)
    smallest = min(m for (m, _), reward in zip(counts, rewards, strict=True) if reward == best)
    winners = [i for i, (m, _) in enumerate(counts) if m == smallest and rewards[i] == best]
    assert choice.trial_number == winners[0]
    assert choice.reward == float(best)
    assert choice.rivals == ()


@settings(deadline=None)
@given(points, eighths)
def test_rivals_are_those_whose_reward_is_within_the_error_of_the_difference(counts: list[Point], mu: float) -> None:
    choice = TradeOffSelector(mu).select(front_of(counts))
    rewards = [accuracy(point) - Fraction(mu) * Fraction(point[0], 64) for point in counts]
    winner = counts[choice.trial_number]
    # An accuracy minus its error cannot be below 0.
    leads = [
        (number, rewards[choice.trial_number] - reward, squared_error(winner, counts[number]))
        for number, reward in enumerate(rewards)
        if number != choice.trial_number
    ]
    assume(all(squared <= accuracy(winner) ** 2 for _, _, squared in leads))
    assume(not any(lead and is_boundary(lead, squared) for _, lead, squared in leads))
    assume(all(lead or squared for _, lead, squared in leads))
    expected = [number for number, lead, squared in leads if is_within(lead, squared)]
    assert [rival.trial_number for rival in choice.rivals] == expected


def test_a_lead_counts_against_its_error() -> None:
    # Two accuracies of 90% on 200 samples have an error of 3.0 points in their difference.
    assert [rival.trial_number for rival in TradeOffSelector(0).select(front_of([(8, 176), (9, 180)])).rivals] == [0]
    assert TradeOffSelector(0).select(front_of([(8, 170), (9, 180)])).rivals == ()


def test_mu_0_asks_for_accuracy_and_a_large_mu_for_memory() -> None:
    front = exact_front_of([(1, 200), (8, 220), (32, 240)])
    assert TradeOffSelector(0.0).select(front).trial_number == 2
    assert TradeOffSelector(100.0).select(front).trial_number == 0


def test_the_choice_shows_its_candidate_and_its_rule() -> None:
    choice = TradeOffSelector(0.5).select(exact_front_of([(8, 192)]))
    assert (choice.config, choice.memory_kib, choice.accuracy, choice.compression) == (CONFIG, 8.0, 0.75, 8.0)
    assert choice.to_dict()["reward"] == 0.75 - 0.5 / 8
    assert choice.rule == "reward accuracy - 0.5 * memory / 64.0 KiB"


@pytest.mark.parametrize("mu", [-0.1, float("nan"), float("inf"), "0.1", None])
def test_mu_must_be_finite_and_not_negative(mu: float) -> None:
    with pytest.raises(ValueError, match=r"^mu\b.*got"):
        TradeOffSelector(mu)
