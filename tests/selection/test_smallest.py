from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspinn_optuna import SmallestSelector
from qspinn_optuna.front import ParetoFront
from tests.selection.fronts import front_of

SAMPLES = 200


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 20), st.integers(120, SAMPLES)), min_size=1, max_size=10, unique_by=lambda p: p[0]
    )
)
def test_the_smallest_is_chosen_and_its_rivals_are_those_behind_doubtful_ones(points: list[tuple[int, int]]) -> None:
    floor = 0.6
    front = replace(front_of(points), accuracy_floor=floor)
    choice = SmallestSelector().select(front)
    ordered = sorted(front, key=lambda candidate: candidate.memory_kib)
    assert choice.candidate == ordered[0]
    assert choice.reward == ordered[0].compression
    # A candidate is a rival if every smaller one is above the floor by less than its own standard error.
    doubtful = [c.accuracy - floor < math.sqrt(c.accuracy * (1 - c.accuracy) / SAMPLES) for c in ordered]
    assert list(choice.rivals) == [c for i, c in enumerate(ordered) if i > 0 and all(doubtful[:i])]


def test_without_a_floor_nothing_is_doubtful() -> None:
    choice = SmallestSelector().select(front_of([(2, 150), (3, 180)]))
    assert (choice.memory_kib, choice.rivals) == (front_of([(2, 150)]).candidates[0].memory_kib, ())


def test_an_unknown_number_of_samples_makes_no_doubts() -> None:
    front = replace(front_of([(2, 150), (3, 180)], samples=None), accuracy_floor=0.75)
    assert SmallestSelector().select(front).rivals == ()


def test_the_rule_names_the_floor() -> None:
    assert "75.00%" in SmallestSelector().select(replace(front_of([(2, 150)]), accuracy_floor=0.75)).rule


def test_an_empty_front_is_refused() -> None:
    with pytest.raises(ValueError, match="front"):
        SmallestSelector().select(ParetoFront((), 10.0))
