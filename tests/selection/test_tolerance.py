from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qspinn_optuna.selection import Choice, OneStandardErrorSelector, ToleranceSelector
from tests.selection.fronts import SAMPLES, Point, accuracy, front_of, is_boundary, is_within, points, squared_error


def best_of(counts: list[Point]) -> int:
    return max(range(len(counts)), key=lambda number: (counts[number][1], -counts[number][0], -number))


def smallest(counts: list[Point], numbers: list[int]) -> int:
    return min(numbers, key=lambda number: (counts[number][0], number))


@settings(deadline=None)
@given(points, st.integers(0, 100).map(lambda count: Fraction(count, SAMPLES)))
def test_the_choice_equals_brute_force(counts: list[Point], tolerance: Fraction) -> None:
    choice = ToleranceSelector(float(tolerance)).select(front_of(counts))
    best = counts[best_of(counts)]
    misses = [accuracy(best) - accuracy(point) - tolerance for point in counts]
    winner = smallest(counts, [number for number, miss in enumerate(misses) if miss <= 0])
    assert (choice.trial_number, choice.reward) == (winner, choice.compression)

    preferred = [number for number, point in enumerate(counts) if (point[0], number) < (counts[winner][0], winner)]
    errors = {number: squared_error(best, counts[number]) for number in preferred}
    assume(not any(is_boundary(misses[number], error) for number, error in errors.items()))
    expected = [number for number, error in errors.items() if is_within(misses[number], error)]
    assert [rival.trial_number for rival in choice.rivals] == expected


@settings(deadline=None)
@given(points)
def test_one_standard_error_equals_brute_force(counts: list[Point]) -> None:
    choice = OneStandardErrorSelector().select(front_of(counts))
    best = counts[best_of(counts)]
    losses = [accuracy(best) - accuracy(point) for point in counts]
    assume(not any(loss and is_boundary(loss, squared_error(best)) for loss in losses))
    winner = smallest(counts, [i for i, loss in enumerate(losses) if is_within(loss, squared_error(best))])
    assert choice.trial_number == winner
    tolerance = float(squared_error(best)) ** 0.5
    alike = ToleranceSelector(min(tolerance, 0.999)).select(front_of(counts))
    assert (alike.candidate, alike.rivals) == (choice.candidate, choice.rivals)


def test_a_difference_that_floats_see_as_too_large_is_within() -> None:
    assert 0.95 - 0.94 > 0.01
    assert ToleranceSelector(0.01).select(front_of([(1, 188), (2, 190)])).trial_number == 0
    assert ToleranceSelector(0.01).select(front_of([(1, 187), (2, 190)])).trial_number == 1


def test_one_that_just_misses_the_tolerance_is_a_rival_and_a_larger_one_is_none() -> None:
    choice = ToleranceSelector(0.02).select(front_of([(1, 150), (2, 184), (3, 186), (4, 190)]))
    assert (choice.trial_number, [rival.trial_number for rival in choice.rivals]) == (2, [1])
    assert ToleranceSelector(0.02).select(front_of([(1, 184), (2, 186), (3, 190)], samples=None)).rivals == ()


def test_the_error_of_a_miss_is_that_of_the_difference_to_the_best() -> None:
    # The miss is 3.5 points. The error of the difference to the best is 3.1; to the chosen one it would be 4.2.
    choice = ToleranceSelector(0.2).select(front_of([(1, 151), (2, 158), (3, 198)]))
    assert (choice.trial_number, choice.rivals) == (1, ())


def test_the_rules_are_named() -> None:
    front = front_of([(1, 150), (2, 180)])
    assert ToleranceSelector(0.01).select(front).rule == "smallest within 1.00 points of the best accuracy"
    assert OneStandardErrorSelector().select(front).rule == (
        "smallest within one standard error (2.12 points) of the best accuracy"
    )


def test_one_standard_error_needs_the_samples_of_the_best() -> None:
    with pytest.raises(ValueError, match=r"^front\b.*got None for trial 1: use ToleranceSelector"):
        OneStandardErrorSelector().select(front_of([(1, 150), (2, 180)], samples=None))


@pytest.mark.parametrize("tolerance", [-0.01, 1, 5.0, float("nan"), "1%", None])
def test_a_tolerance_is_a_fraction(tolerance: float) -> None:
    with pytest.raises(ValueError, match=r"^tolerance\b.*got"):
        ToleranceSelector(tolerance)


def test_all_alike_gives_the_earliest() -> None:
    choice: Choice = OneStandardErrorSelector().select(front_of([(2, 180)] * 3))
    assert choice.trial_number == 0
