"""Against what counts, integrates or draws instead of knowing a formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from optuna._hypervolume import compute_hypervolume

from qspinn_optuna.sampler.known_objective.improvement import (
    expected_hypervolume_improvement,
    expected_improvement,
    hypervolume,
    nondominated,
)

Floats = NDArray[np.float64]

REFERENCE = (8.0, 2.0)

# Few values, so that equal ones occur; some do not beat the reference.
fronts = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), max_size=8).map(
    lambda points: (np.array([p[0] for p in points], dtype=float), np.array([p[1] for p in points], dtype=float))
)


def counted(costs: Floats, gains: Floats) -> int:
    """Unit squares between reference and points; a square belongs to a point that beats its far corner."""
    return sum(
        any(cost <= left and gain >= bottom + 1 for cost, gain in zip(costs, gains, strict=True))
        for left in range(int(REFERENCE[0]))
        for bottom in range(int(REFERENCE[1]), 12)
    )


@settings(deadline=None)
@given(fronts)
def test_hypervolume_counts_squares(front: tuple[Floats, Floats]) -> None:
    assert hypervolume(*front, REFERENCE) == counted(*front)


@settings(deadline=None)
@given(fronts)
def test_hypervolume_is_that_of_optuna(front: tuple[Floats, Floats]) -> None:
    values = np.stack([front[0], -front[1]], axis=1)
    inside = values[np.all(values <= (REFERENCE[0], -REFERENCE[1]), axis=1)]
    expected = compute_hypervolume(inside, np.array([REFERENCE[0], -REFERENCE[1]])) if len(inside) > 0 else 0.0
    assert hypervolume(*front, REFERENCE) == pytest.approx(expected)


@settings(deadline=None)
@given(fronts)
def test_nondominated_points_are_those_that_nothing_beats(front: tuple[Floats, Floats]) -> None:
    points = list(zip(*front, strict=True))
    kept = [points[i] for i in nondominated(*front)]
    unbeaten = {p for p in points if not any(q[0] <= p[0] and q[1] >= p[1] and q != p for q in points)}
    assert kept == sorted(unbeaten)


def test_expected_improvement_is_the_integral() -> None:
    deviation = 0.7
    steps = np.linspace(-12, 12, 200_001)
    density = np.exp(-0.5 * steps**2) / np.sqrt(2 * np.pi)
    for mean in (-2.0, 0.0, 0.3, 3.0):
        gained = (mean + deviation * steps - 0.3).clip(0)
        integral = np.trapezoid(gained * density, steps)
        assert expected_improvement(np.array([mean]), np.array([deviation]), 0.3) == pytest.approx(integral, rel=1e-6)


def test_far_below_the_best_nothing_is_expected_and_far_above_the_difference() -> None:
    expected = expected_improvement(np.array([-1e6, 1e6]), np.array([1e-3, 1e-3]), 0.0)
    np.testing.assert_array_equal(expected, [0, 1e6])


def integrated(cost: float, mean: float, deviation: float, front: tuple[Floats, Floats]) -> float:
    """The mean of what hypervolume is larger by, over the quantiles of the gain."""
    before = hypervolume(*front, REFERENCE)
    steps = np.linspace(-6, 6, 1_201)
    density = np.exp(-0.5 * steps**2) / np.sqrt(2 * np.pi)
    added = [
        hypervolume(np.append(front[0], cost), np.append(front[1], mean + deviation * step), REFERENCE) - before
        for step in steps
    ]
    return float(np.trapezoid(added * density, steps))


@settings(deadline=None, max_examples=25)
@given(fronts, st.floats(-1, 11), st.floats(-1, 12), st.floats(0.05, 4))
def test_the_expected_addition_is_the_mean_of_added_hypervolume(
    front: tuple[Floats, Floats], cost: float, mean: float, deviation: float
) -> None:
    expected = integrated(cost, mean, deviation, front)
    got = expected_hypervolume_improvement(np.array([cost]), np.array([mean]), np.array([deviation]), front, REFERENCE)
    assert got == pytest.approx(expected, rel=2e-3, abs=2e-3)


def test_many_candidates_of_many_members_are_those_one_by_one() -> None:
    rng = np.random.default_rng(0)
    front = (rng.uniform(0, 10, 6), rng.uniform(0, 10, 6))
    costs, means, deviations = rng.uniform(0, 10, 7), rng.uniform(0, 12, (3, 7)), rng.uniform(0.1, 1, (3, 1))
    together = expected_hypervolume_improvement(costs, means, deviations, front, REFERENCE)
    assert together.shape == (3, 7)
    for member in range(3):
        for i in range(7):
            alone = expected_hypervolume_improvement(
                costs[[i]], means[member, [i]], deviations[member], front, REFERENCE
            )
            assert together[member, i] == pytest.approx(alone[0])


def strip_by_strip(costs: Floats, means: Floats, deviations: Floats, front: tuple[Floats, Floats]) -> Floats:
    """The sum over all strips, none of which is taken for sure or for hopeless."""
    inside = (front[0] < REFERENCE[0]) & (front[1] > REFERENCE[1])
    kept = nondominated(front[0][inside], front[1][inside])
    edges = np.concatenate(([-np.inf], front[0][inside][kept], [REFERENCE[0]]))
    heights = np.append(REFERENCE[1], front[1][inside][kept])
    total = np.zeros_like(means)
    for low, high, height in zip(edges[:-1], edges[1:], heights, strict=True):
        total += (high - np.maximum(costs, low)).clip(0) * expected_improvement(means, deviations, height)
    return total


@settings(deadline=None, max_examples=50)
@given(fronts, st.integers(0, 1_000), st.sampled_from([1e-12, 1e-3, 0.05, 0.3, 5.0]))
def test_sure_and_hopeless_strips_change_nothing(front: tuple[Floats, Floats], seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    # Costs on edges too.
    costs = np.concatenate([rng.uniform(-1, 10, 20), np.arange(11.0)])
    means, deviations = rng.uniform(-1, 12, (2, 31)), noise * rng.uniform(0.5, 2, (2, 31))
    found = expected_hypervolume_improvement(costs, means, deviations, front, REFERENCE)
    np.testing.assert_allclose(found, strip_by_strip(costs, means, deviations, front), rtol=1e-9, atol=1e-12)


def test_an_empty_front_leaves_all_to_the_reference() -> None:
    empty = (np.empty(0), np.empty(0))
    got = expected_hypervolume_improvement(
        np.array([3.0, 8.0, 9.0]), np.full(3, 7.0), np.full(3, 1e-9), empty, REFERENCE
    )
    np.testing.assert_allclose(got, [25, 0, 0])
