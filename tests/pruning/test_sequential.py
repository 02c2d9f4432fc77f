from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from qspinn_optuna.pruning import cannot_reach, upper_bound

SMALL = [(seen, total) for total in (1, 2, 5, 9) for seen in range(total + 1)]


def likelihood(correct: int, seen: int, result: int, total: int) -> Fraction:
    """Likelihood of answers in their order, drawn one by one from `result` correct ones of `total`."""
    right, wrong, left, probability = result, total - result, total, Fraction(1)
    for is_right in [True] * correct + [False] * (seen - correct):
        probability *= Fraction(right if is_right else wrong, left)
        right, wrong, left = right - is_right, wrong - (not is_right), left - 1
    return max(probability, Fraction(0)) if right >= 0 and wrong >= 0 else Fraction(0)


def mixture(correct: int, seen: int, target: int, total: int) -> Fraction:
    """Mean likelihood of results that miss the target by 1, 2, 4, ... answers."""
    missed = [gap for gap in (2**power for power in range(10)) if gap <= target]
    return sum((likelihood(correct, seen, target - gap, total) for gap in missed), Fraction(0)) / len(missed)


def is_ruled_out(correct: int, seen: int, target: int, total: int, alpha: Fraction) -> bool:
    if correct >= target:
        return False
    return mixture(correct, seen, target, total) >= likelihood(correct, seen, target, total) / alpha


@pytest.mark.parametrize("confidence", [0.53, 0.81, 0.97])
@pytest.mark.parametrize(("seen", "total"), SMALL)
def test_it_equals_exact_arithmetic(seen: int, total: int, confidence: float) -> None:
    alpha = 1 - Fraction(confidence)
    for correct in range(seen + 1):
        ruled_out = [is_ruled_out(correct, seen, target, total, alpha) for target in range(total + 1)]
        assert [cannot_reach(correct, seen, t, confidence, total) for t in range(total + 1)] == ruled_out
        # Targets that are ruled out lie above all others, and the bound between them.
        assert ruled_out == sorted(ruled_out)
        assert upper_bound(correct, seen, confidence, total) == (ruled_out.count(False) - 1) / total


@pytest.mark.parametrize(("target", "total"), [(1, 4), (3, 5), (5, 7), (6, 7), (7, 7)])
def test_the_evidence_is_a_supermartingale_if_the_target_is_reached(target: int, total: int) -> None:
    """For every order of the answers, and every result of at least the target."""
    for result in range(target, total + 1):
        orders = set(itertools.permutations([1] * result + [0] * (total - result)))
        before = Fraction(1)
        for seen in range(1, total + 1):
            counts = [sum(order[:seen]) for order in orders]
            # With more correct answers than the target, the lower results are impossible.
            ratios = [
                mixture(c, seen, target, total) / likelihood(c, seen, target, total) for c in counts if c <= target
            ]
            mean = sum(ratios, Fraction(0)) / len(orders)
            assert mean <= before
            # Exactly 1 as long as every lower result is possible.
            if result == target and seen <= total - target:
                assert mean == 1
            before = mean


@pytest.mark.parametrize(("target", "total"), [(3, 6), (6, 8), (8, 9)])
@pytest.mark.parametrize("confidence", [0.5, 0.8])
def test_the_part_of_all_orders_that_is_stopped_wrongly_is_within_bounds(
    target: int, total: int, confidence: float
) -> None:
    for result in range(target, total + 1):
        wrong = [
            any(cannot_reach(sum(order[:seen]), seen, target, confidence, total) for seen in range(total + 1))
            for order in set(itertools.permutations([1] * result + [0] * (total - result)))
        ]
        assert sum(wrong) <= (1 - confidence) * len(wrong) + 1e-9


def test_what_is_certain_needs_no_confidence() -> None:
    for confidence in (1e-9, 0.5, 1 - 1e-12):
        assert cannot_reach(7, 10, 8, confidence, total=10)
        assert not cannot_reach(7, 10, 7, confidence, total=10)
        assert cannot_reach(90, 96, 95, confidence, total=100)
        assert cannot_reach(0, 0, 11, confidence, total=10)
        assert cannot_reach(99, 100, 1.0, confidence)
    assert upper_bound(7, 10, 1 - 1e-12, total=10) == 0.7


def test_nothing_seen_rules_nothing_out() -> None:
    assert not cannot_reach(0, 0, 10, 0.01, total=10)
    assert not cannot_reach(0, 0, 1.0, 0.01)
    assert upper_bound(0, 0, 0.5) == upper_bound(0, 0, 0.5, total=10) == 1
    assert upper_bound(0, 0, 0.5, total=0) == 0


def test_independent_draws_are_the_limit_of_a_large_total() -> None:
    for correct, seen in ((40, 100), (80, 100), (430, 500)):
        large = upper_bound(correct, seen, 0.95, total=2**20)
        assert upper_bound(correct, seen, 0.95) == pytest.approx(large, abs=0.015)
        assert upper_bound(correct, seen, 0.95) > upper_bound(correct, seen, 0.95, total=2 * seen) > correct / seen


def test_a_million_samples_are_fast() -> None:
    assert upper_bound(900_000, 1_000_000, 0.95) == pytest.approx(0.9, abs=0.002)
    assert upper_bound(450_000, 500_000, 0.95, total=1_000_000) == pytest.approx(0.9, abs=0.002)


TOTAL, STEP, BAR, RUNS = 2_000, 50, 1_801, 1_000
LOOKS = np.arange(STEP, TOTAL + 1, STEP)


def runs(result: int, seed: int, total: int = TOTAL, replace: bool = False) -> NDArray[np.int64]:
    """Counts at every look of evaluations with `result` correct answers, [runs, looks]."""
    generator = np.random.default_rng(seed)
    answers = np.arange(total) < result
    drawn = [answers[generator.integers(0, total, total)] if replace else generator.permutation(answers) for _ in
             range(RUNS)]  # fmt: skip
    return np.cumsum(drawn, axis=1)[:, LOOKS - 1]


def first_looks(counts: NDArray[np.int64], confidence: float, total: int | None) -> list[float]:
    """Samples after which each run is stopped; infinite if it never is."""
    target = BAR if total is not None else BAR / TOTAL
    return [
        next(
            (n for c, n in zip(run, LOOKS.tolist(), strict=True) if cannot_reach(c, n, target, confidence, total)),
            math.inf,
        )
        for run in counts.tolist()
    ]


def slack(alpha: float) -> float:
    """The most stopped runs that are consistent with a probability of ``alpha``."""
    return RUNS * alpha + 3.1 * math.sqrt(RUNS * alpha * (1 - alpha))


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize(("total", "replace"), [(TOTAL, False), (None, True), (None, False)])
def test_a_planted_configuration_is_hardly_ever_stopped(confidence: float, total: int | None, replace: bool) -> None:
    """The result equals the target, and there are 40 looks."""
    stopped = first_looks(runs(BAR, seed=0, replace=replace), confidence, total)
    assert 0 < sum(map(math.isfinite, stopped)) <= (1 - confidence) * RUNS


def lowest_kept(seen: int) -> int:
    """The fewest correct answers that an exact test of one look, at 5 %, does not rule out."""
    orders, correct = 0, max(0, seen - (TOTAL - BAR)) - 1
    most = math.comb(TOTAL, seen) // 20
    while orders <= most:
        correct += 1
        orders += math.comb(BAR, correct) * math.comb(TOTAL - BAR, seen - correct)
    return correct


def test_a_test_of_a_fixed_size_repeated_at_every_look_would_stop_it_too_often() -> None:
    counts = runs(BAR, seed=0)
    exact = counts < [lowest_kept(seen) for seen in LOOKS.tolist()]
    assert exact[:, 9].sum() <= slack(0.05)  # a single look keeps its error probability
    assert exact.any(axis=1).sum() > 2 * slack(0.05)


@pytest.mark.parametrize(("accuracy", "most"), [(0.5, 50), (0.8, 180), (0.86, 550), (0.88, 1_100)])
def test_worse_ones_are_stopped_early(accuracy: float, most: float) -> None:
    stopped = first_looks(runs(round(accuracy * TOTAL), seed=1), 0.95, TOTAL)
    assert np.mean(stopped) <= most


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, 95, math.nan, math.inf])
def test_a_confidence_outside_0_and_1_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match=rf"^confidence\b.*got {confidence}"):
        cannot_reach(1, 2, 0.5, confidence)


@pytest.mark.parametrize("confidence", [True, "0.95", None])
def test_a_confidence_that_is_not_a_number_is_refused(confidence: float) -> None:
    with pytest.raises(TypeError, match=rf"^confidence\b.*got {confidence!r}"):
        upper_bound(1, 2, confidence)


def test_impossible_counts_are_refused() -> None:
    for correct, seen in ((3, 2), (-1, 2)):
        with pytest.raises(ValueError, match=rf"^correct\b.*got correct={correct}"):
            cannot_reach(correct, seen, 0.5, 0.95)
    with pytest.raises(ValueError, match=r"^total\b.*got total=1 and seen=2"):
        upper_bound(1, 2, 0.95, total=1)
    with pytest.raises(TypeError, match=r"^correct\b.*got 1\.5"):
        cannot_reach(1.5, 2, 0.5, 0.95)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^target\b.*got 90"):
        cannot_reach(1, 2, 90, 0.95)
