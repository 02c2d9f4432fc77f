from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspinn_optuna import Candidate, ParetoFront, Rounding, Scheme, TradeOffSelector
from tests.fake_workload import fake_space

CONFIG = fake_space().uniform(4, Scheme.PTQ, Rounding.NEAREST)
BASELINE_KIB = 64.0


def front_of(points: list[tuple[int, int]]) -> ParetoFront:
    """A front of (memory in KiB, accuracy in 256ths): sums of such numbers are exact."""
    candidates = [Candidate(i, CONFIG, float(m), BASELINE_KIB / m, a / 256) for i, (m, a) in enumerate(points)]
    return ParetoFront(tuple(candidates), BASELINE_KIB)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 64), st.integers(0, 256)), min_size=1, max_size=12),
    st.integers(0, 32).map(lambda eighths: eighths / 8),
)
def test_the_choice_equals_brute_force(points: list[tuple[int, int]], mu: float) -> None:
    choice = TradeOffSelector(mu).select(front_of(points))
    rewards = [Fraction(a, 256) - Fraction(mu) * Fraction(m, 64) for m, a in points]
    best = max(rewards)
    smallest = min(m for (m, _), reward in zip(points, rewards, strict=True) if reward == best)
    winners = [i for i, (m, _) in enumerate(points) if m == smallest and rewards[i] == best]
    assert choice.trial_number == winners[0]
    assert choice.reward == float(best)


def test_mu_0_asks_for_accuracy_and_a_large_mu_for_memory() -> None:
    front = front_of([(1, 200), (8, 220), (32, 240)])
    assert TradeOffSelector(0.0).select(front).trial_number == 2
    assert TradeOffSelector(100.0).select(front).trial_number == 0


def test_the_choice_shows_its_candidate() -> None:
    choice = TradeOffSelector(0.5).select(front_of([(8, 192)]))
    assert (choice.config, choice.memory_kib, choice.accuracy, choice.compression) == (CONFIG, 8.0, 0.75, 8.0)
    assert choice.to_dict()["reward"] == 0.75 - 0.5 / 8


@pytest.mark.parametrize("mu", [-0.1, float("nan"), float("inf")])
def test_mu_must_be_finite_and_not_negative(mu: float) -> None:
    with pytest.raises(ValueError, match="mu must be a finite number of at least 0, got"):
        TradeOffSelector(mu)


def test_an_empty_front_is_refused() -> None:
    with pytest.raises(ValueError, match="front must have at least one candidate"):
        TradeOffSelector(0.1).select(ParetoFront((), BASELINE_KIB))
