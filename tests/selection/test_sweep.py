from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from qspinn_optuna import Candidate, ParetoFront
from qspinn_optuna.selection import TradeOffSelector, sweep_mu
from tests.selection.fronts import BASELINE_KIB, CONFIG, Point, accuracy, front_of, points

Range = tuple[int, Fraction, Fraction]
"""Trial number, and the interval of mu in which the trial wins."""

ENDLESS = Fraction(10**9)
"""More than any limit between two winners of the hand-made fronts."""


def random_front(rng: np.random.Generator) -> ParetoFront:
    """Up to 20 random points, in some fronts with coarse numbers, duplicates and collinear points."""
    count = int(rng.integers(1, 21))
    if rng.random() < 0.5:
        memory, correct = rng.integers(1, 16, count) / 1.0, rng.integers(0, 21, count) / 20
    else:
        memory, correct = 2.0 ** rng.uniform(0, 6, count), rng.uniform(0, 1, count)
    candidates = [
        Candidate(number, CONFIG, float(m), BASELINE_KIB / float(m), float(a))
        for number, (m, a) in enumerate(zip(memory, correct, strict=True))
    ]
    return ParetoFront(tuple(candidates), BASELINE_KIB)


def test_it_agrees_with_brute_force_over_10_000_values_of_mu_on_1_000_fronts() -> None:
    rng = np.random.default_rng(5)
    checked = 0
    for _ in range(1_000):
        front = random_front(rng)
        intervals = sweep_mu(front)
        mus = np.concatenate([[0.0], 10 ** rng.uniform(-4, 4, 9_999)])
        # Sorted by (memory, trial), since argmax returns the first of equals.
        members = sorted(front, key=lambda member: (member.memory_kib, member.trial_number))
        memory = np.array([member.memory_kib for member in members]) / BASELINE_KIB
        rewards = np.array([member.accuracy for member in members])[:, None] - memory[:, None] * mus
        winners = np.array([member.trial_number for member in members])[rewards.argmax(axis=0)]

        lows = np.array([interval.low for interval in intervals])
        swept = np.array([interval.candidate.trial_number for interval in intervals])[
            np.searchsorted(lows, mus, side="right") - 1
        ]
        # At the end of an interval, rewards differ by less than their rounding errors.
        clear = np.all(np.abs(mus[:, None] - lows[None, 1:]) > 1e-9 * (1 + mus[:, None]), axis=1)
        assert np.array_equal(swept[clear], winners[clear])
        checked += int(clear.sum())
    assert checked > 9_990_000


def exact_ranges(counts: list[Point]) -> list[Range]:
    """Intervals from comparisons of all pairs of candidates, in exact fractions."""
    rows: list[Range] = []
    for number, (memory, _) in enumerate(counts):
        low, high = Fraction(0), ENDLESS
        for other, point in enumerate(counts):
            # The reward is at least as large as the other's, or larger where the other would win the tie.
            gain = accuracy(counts[number]) - accuracy(point)
            cost = Fraction(memory - point[0], 64)
            if cost == 0:
                if gain < 0 or (gain == 0 and other < number):
                    high = low
            elif cost > 0:  # Against a smaller one: gain > mu * cost.
                high = min(high, gain / cost)
            else:  # Against a larger one: gain >= mu * cost, so mu >= gain / cost.
                low = max(low, gain / cost)
        if low < high:
            rows.append((number, low, high))
    return sorted(rows, key=lambda row: row[1])


@settings(deadline=None, max_examples=300)
@given(points)
def test_the_ranges_are_exact(counts: list[Point]) -> None:
    expected = [
        (number, float(low), math.inf if high == ENDLESS else float(high)) for number, low, high in exact_ranges(counts)
    ]
    assert [
        (interval.candidate.trial_number, interval.low, interval.high) for interval in sweep_mu(front_of(counts))
    ] == expected


@settings(deadline=None)
@given(points)
def test_the_ranges_follow_each_other_from_0_to_infinity(counts: list[Point]) -> None:
    intervals = sweep_mu(front_of(counts))
    assert (intervals[0].low, intervals[-1].high) == (0.0, math.inf)
    assert all(left.high == right.low for left, right in pairwise(intervals))
    sizes = [interval.candidate.memory_kib for interval in intervals]
    assert sizes == sorted(set(sizes), reverse=True)


def test_at_a_tie_the_smaller_model_wins_as_by_the_selector() -> None:
    # Accuracies in 8ths are exact, and so is the reward at the tie: 1/8 of accuracy for 16 of 64 KiB.
    front = front_of([(16, 100), (32, 125)])
    large, small = sweep_mu(front)
    assert (large.candidate.trial_number, small.candidate.trial_number) == (1, 0)
    assert (large.low, large.high, small.low, small.high) == (0.0, 0.5, 0.5, math.inf)
    assert 0.5 in small
    assert 0.5 not in large
    assert TradeOffSelector(0.5).select(front).trial_number == 0
    assert TradeOffSelector(0.5 - 1e-9).select(front).trial_number == 1


def test_one_on_an_edge_of_the_hull_wins_nowhere() -> None:
    # As floats, 0.2 lies above the middle of 0.1 and 0.3.
    assert Fraction(0.2) > (Fraction(0.1) + Fraction(0.3)) / 2
    intervals = sweep_mu(front_of([(1, 20), (2, 40), (3, 60)]))
    assert [interval.candidate.trial_number for interval in intervals] == [2, 0]


def test_duplicates_count_once_and_the_earlier_trial_wins() -> None:
    front = front_of([(4, 150), (4, 150), (8, 180), (8, 180)])
    assert [interval.candidate.trial_number for interval in sweep_mu(front)] == [2, 0]
    backwards = ParetoFront(front.candidates[::-1], BASELINE_KIB)
    assert [interval.candidate.trial_number for interval in sweep_mu(backwards)] == [2, 0]


def test_a_single_candidate_wins_always() -> None:
    (interval,) = sweep_mu(front_of([(4, 150)]))
    assert (interval.low, interval.high) == (0.0, math.inf)
    assert 1e300 in interval


def test_the_accuracy_may_be_any_float() -> None:
    candidates = (Candidate(0, CONFIG, 1.0, 64.0, 1e-9), Candidate(1, CONFIG, 2.0, 32.0, math.pi / 4))
    high = sweep_mu(ParetoFront(candidates, BASELINE_KIB))[0].high
    assert high == pytest.approx((math.pi / 4 - 1e-9) * 64, rel=1e-15)


def test_a_range_between_two_slopes_that_are_one_number_to_floats_is_left_out() -> None:
    small, middle, large = 0.0, 0.0010471975511965978, 0.9435249936281346
    slopes = [Fraction(middle), (Fraction(large) - Fraction(middle)) / 900]
    assert slopes[0] > slopes[1]
    assert float(slopes[0]) == float(slopes[1])
    members = enumerate([(1.0, small), (2.0, middle), (902.0, large)])
    candidates = [Candidate(number, CONFIG, memory, 64 / memory, value) for number, (memory, value) in members]
    intervals = sweep_mu(ParetoFront(tuple(candidates), BASELINE_KIB))
    assert [interval.candidate.trial_number for interval in intervals] == [2, 0]
