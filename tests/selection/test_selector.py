"""Properties of all rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from qspinn_optuna import Candidate, ParetoFront
from qspinn_optuna.selection import (
    BudgetSelector,
    FunctionSelector,
    KneeSelector,
    OneStandardErrorSelector,
    Selector,
    ToleranceSelector,
    TradeOffSelector,
    sweep_mu,
)
from qspinn_optuna.selection.ranking import difference_error
from tests.selection.fronts import BASELINE_KIB, front_of


def accuracy_of(candidate: Candidate) -> float:
    return candidate.accuracy


SELECTORS: list[Selector] = [
    TradeOffSelector(0.1),
    ToleranceSelector(0.01),
    OneStandardErrorSelector(),
    BudgetSelector(100.0),
    KneeSelector(),
    FunctionSelector(accuracy_of),
]
every_rule = pytest.mark.parametrize("select", [*(rule.select for rule in SELECTORS), sweep_mu])
GOOD = front_of([(4, 150), (8, 180)])


def with_second(**changes: Any) -> ParetoFront:
    first, second = GOOD
    return ParetoFront((first, replace(second, **changes)), BASELINE_KIB)


@every_rule
def test_an_empty_front_is_refused(select: Any) -> None:
    with pytest.raises(ValueError, match=r"^front\b.*got none"):
        select(ParetoFront((), BASELINE_KIB))


@every_rule
@pytest.mark.parametrize("front", [None, [(1.0, 0.9)], "front"])
def test_a_front_is_a_front(select: Any, front: Any) -> None:
    with pytest.raises(TypeError, match=rf"^front\b.*got {type(front).__name__}"):
        select(front)


@every_rule
@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"accuracy": float("nan")}, "accuracies.*got nan of trial 1"),
        ({"accuracy": 93.5}, "accuracies.*got 93.5 of trial 1"),
        ({"memory_kib": float("nan")}, "memories.*got nan of trial 1"),
        ({"memory_kib": float("inf")}, "memories.*got inf of trial 1"),
        ({"memory_kib": 0.0}, "memories.*got 0.0 of trial 1"),
        ({"samples": 0}, "accuracies.*sample.*got 0 of trial 1"),
    ],
)
def test_impossible_numbers_are_refused(select: Any, changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=f"^front must have {what}"):
        select(with_second(**changes))


@every_rule
@pytest.mark.parametrize("baseline_kib", [0.0, float("nan"), -1.0])
def test_a_baseline_is_positive(select: Any, baseline_kib: float) -> None:
    with pytest.raises(ValueError, match=rf"^front\b.*baseline.*got {baseline_kib}"):
        select(ParetoFront(GOOD.candidates, baseline_kib))


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_single_candidate_is_chosen_without_rivals(selector: Selector) -> None:
    choice = selector.select(front_of([(4, 150)]))
    assert (choice.trial_number, choice.rivals) == (0, ())


@pytest.mark.parametrize("selector", SELECTORS)
def test_of_duplicates_the_earlier_trial_is_chosen(selector: Selector) -> None:
    first, second = front_of([(4, 150), (4, 150)])
    for candidates in ((first, second), (second, first)):
        assert selector.select(ParetoFront(candidates, BASELINE_KIB)).trial_number == 0


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_candidate_named_twice_is_not_its_own_rival(selector: Selector) -> None:
    (candidate,) = front_of([(4, 150)])
    assert selector.select(ParetoFront((candidate, candidate), BASELINE_KIB)).rivals == ()


@pytest.mark.parametrize("selector", SELECTORS)
def test_every_choice_says_its_rule(selector: Selector) -> None:
    assert selector.select(GOOD).rule


def test_the_error_of_a_difference_is_that_of_two_independent_ones() -> None:
    first, second = front_of([(1, 100), (2, 180)])
    assert difference_error(first, second) == pytest.approx((0.25 / 200 + 0.09 / 200) ** 0.5)
    assert difference_error(first, replace(second, samples=None)) is None
    assert difference_error(replace(first, samples=None), second) is None
