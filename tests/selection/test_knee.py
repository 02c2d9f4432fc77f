from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings

from qspinn_optuna import Candidate, ParetoFront
from qspinn_optuna.selection import KneeSelector
from tests.selection.fronts import CONFIG, Point, front_of, points


def distances(counts: list[Point]) -> np.ndarray:
    """Distance of every point above the chord, by the cross product with the chord's direction."""
    low = min(counts, key=lambda point: (point[0], -point[1]))
    high = max(counts, key=lambda point: (point[1], -point[0]))
    if low == high:
        return np.array([0.0 if point == low else -1.0 for point in counts])
    scaled = np.array(
        [[math.log(m / low[0]) / math.log(high[0] / low[0]), (c - low[1]) / (high[1] - low[1])] for m, c in counts]
    )
    chord = np.array([1.0, 1.0])
    cross: np.ndarray = (chord[0] * scaled[:, 1] - chord[1] * scaled[:, 0]) / np.linalg.norm(chord)
    return cross


@settings(deadline=None)
@given(points)
def test_the_choice_equals_brute_force(counts: list[Point]) -> None:
    choice = KneeSelector().select(front_of(counts))
    by_hand = distances(counts)
    ties = np.flatnonzero(by_hand > by_hand.max() - 1e-9)
    winner = min(ties, key=lambda number: (counts[number][0], number))
    assert choice.trial_number == winner
    assert choice.reward == pytest.approx(by_hand[winner], abs=1e-9)


@settings(deadline=None)
@given(points)
def test_rivals_are_those_that_noise_may_carry_to_the_same_distance(counts: list[Point]) -> None:
    front = front_of(counts)
    choice = KneeSelector().select(front)
    low = min(counts, key=lambda point: (point[0], -point[1]))
    high = max(counts, key=lambda point: (point[1], -point[0]))
    assume(low != high)
    scale = (high[1] - low[1]) / 200 * math.sqrt(2)
    by_hand = distances(counts)
    expected = []
    for number, candidate in enumerate(front):
        assert candidate.standard_error is not None
        assert choice.candidate.standard_error is not None
        error = math.hypot(candidate.standard_error, choice.candidate.standard_error)
        lead = float(by_hand[choice.trial_number] - by_hand[number]) * scale
        assume(error <= choice.accuracy)
        assume(abs(lead - error) > 1e-9 or number == choice.trial_number)
        if number != choice.trial_number and lead <= error:
            expected.append(number)
    assert [rival.trial_number for rival in choice.rivals] == expected


def test_the_knee_is_where_another_doubling_gains_less() -> None:
    # On a linear axis of memory the second would be the knee: 62 of the 63 KiB lie between it and the last.
    assert KneeSelector().select(front_of([(1, 100), (2, 130), (4, 170), (8, 180), (64, 190)])).trial_number == 2


def test_a_single_candidate_is_the_knee() -> None:
    choice = KneeSelector().select(front_of([(5, 150)]))
    assert (choice.trial_number, choice.reward, choice.rivals) == (0, 0.0, ())


def test_of_two_the_smaller_is_the_knee() -> None:
    assert KneeSelector().select(front_of([(64, 190), (8, 100)])).trial_number == 1


def test_a_straight_front_has_its_knee_at_the_smallest() -> None:
    assert (0.2 - 0.1) / (0.3 - 0.1) > 0.5
    assert KneeSelector().select(front_of([(1, 20), (2, 40), (4, 60)])).trial_number == 0


def test_a_front_that_bends_the_other_way_has_its_knee_at_the_smallest() -> None:
    assert KneeSelector().select(front_of([(1, 100), (8, 101), (64, 190)])).trial_number == 0


def test_what_is_smallest_and_most_accurate_is_the_knee() -> None:
    # The same memory, but an earlier trial.
    candidates = (Candidate(0, CONFIG, 4.0, 16.0, 0.5), Candidate(1, CONFIG, 4.0, 16.0, 0.9))
    assert KneeSelector().select(ParetoFront(candidates, 64.0)).trial_number == 1
