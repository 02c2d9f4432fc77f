"""Long studies: which observations models are fitted to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qspinn_optuna.sampler.known_objective.model import CliffModel
from qspinn_optuna.sampler.known_objective.saturating import SaturatingEnsemble
from qspinn_optuna.sampler.known_objective.window import WINDOW, distances_to_front, window

Floats = NDArray[np.float64]

UNITS = np.array([6.0, 6.0])


def study(points: int, seed: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Coordinates, indicators, values, weights and costs of points whose value saturates."""
    rng = np.random.default_rng(seed)
    coordinates = rng.integers(0, 7, (points, 2)).astype(float)
    values = (1 - np.exp2(-1 - coordinates)).prod(axis=1) + rng.normal(0, 0.01, points)
    return coordinates, np.zeros((points, 0)), values, np.ones(points), coordinates.sum(axis=1)


@pytest.mark.parametrize("points", [1, WINDOW - 1, WINDOW])
def test_up_to_its_size_a_window_is_everything(points: int) -> None:
    assert window(np.random.default_rng(0).random(points)).tolist() == list(range(points))


# Few distances, so that many are equal.
@settings(deadline=None, max_examples=30)
@given(st.integers(WINDOW + 1, 3_000), st.integers(1, 50), st.integers(0, 100))
def test_a_window_has_the_nearest_the_latest_and_some_of_all_others(points: int, values: int, seed: int) -> None:
    distances = np.random.default_rng(seed).integers(0, values, points).astype(float)
    kept = window(distances)
    assert len(kept) == WINDOW
    assert kept.tolist() == sorted(set(kept.tolist()))
    latest = set(range(points - 100, points))
    assert latest <= set(kept.tolist())
    earlier = sorted(set(range(points)) - latest, key=lambda place: (distances[place], -place))
    others = sorted(set(kept.tolist()) - latest - set(earlier[:200]))
    assert len(others) == 100
    assert set(earlier[:200]) <= set(kept.tolist())


def test_what_is_spread_is_spread_over_the_whole_study() -> None:
    # The later, the nearer: without a spread, nothing of the beginning would be left.
    kept = window(np.arange(5_000)[::-1].astype(float))
    counts, _ = np.histogram(kept[kept < 4_700], bins=10, range=(0, 4_700))
    assert counts.tolist() == pytest.approx([10] * 10, abs=1)


def test_a_further_observation_changes_little() -> None:
    distances = np.random.default_rng(0).random(2_001)
    assert len(set(window(distances).tolist()) - set(window(distances[:-1]).tolist())) <= 4


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12))
def test_the_distance_is_what_a_point_gains_less_than_the_best_one_that_costs_no_more(
    points: list[tuple[int, int]],
) -> None:
    costs, gains = (np.array(column, float) for column in zip(*points, strict=True))
    expected = [max(best for other, best in points if other <= price) - gain for price, gain in points]
    assert distances_to_front(costs, gains).tolist() == expected


def test_the_model_of_a_long_study_is_that_of_its_window() -> None:
    data = study(WINDOW + 150, 0)
    kept = window(distances_to_front(data[4], data[2]))
    whole, part = (CliffModel(UNITS, [], increasing=True, seed=3) for _ in range(2))
    whole.fit(*data)
    part.fit(*(array[kept] for array in data))
    everywhere = np.stack(np.meshgrid(*[np.arange(7.0)] * 2), axis=-1).reshape(-1, 2)
    nothing = np.zeros((49, 0))
    # Not the same to the last digit: a point has the noise of its place in the study.
    np.testing.assert_allclose(
        whole.predict(everywhere, nothing).mean(axis=0), part.predict(everywhere, nothing).mean(axis=0), atol=0.01
    )
    truth = (1 - np.exp2(-1 - everywhere)).prod(axis=1)
    assert np.abs(whole.predict(everywhere, nothing).mean(axis=0) - truth).mean() < 0.01


def test_a_point_keeps_its_noise_while_others_come_and_go() -> None:
    coordinates, indicators, values, weights, _ = study(30, 1)
    places = np.arange(30)
    given_places, by_default = (SaturatingEnsemble(UNITS, [], seed=3) for _ in range(2))
    given_places.fit(coordinates, indicators, values, weights, 5, places=places)
    by_default.fit(coordinates, indicators, values, weights, 5)
    np.testing.assert_array_equal(given_places._fitted, by_default._fitted)
    # The weight of the first point is next to nothing: the others have the noise that they have without it.
    without, almost = (SaturatingEnsemble(UNITS, [], seed=3) for _ in range(2))
    values[0] = values[1:].mean()
    without.fit(coordinates[1:], indicators[1:], values[1:], weights[1:], 5, places=places[1:])
    weights[0] = 1e-12
    almost.fit(coordinates, indicators, values, weights, 5)
    expected, found = (model.predict(coordinates, indicators) for model in (almost, without))
    np.testing.assert_allclose(found, expected, atol=1e-6)
