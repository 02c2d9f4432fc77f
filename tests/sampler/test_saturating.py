"""The model of the other objective."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from qspinn_optuna.sampler.known_objective.saturating import SaturatingEnsemble, _newton_moves

Floats = NDArray[np.float64]

UNITS = np.array([6.0, 14.0, 1.0])
CATEGORIES = [3, 2]


def inputs(points: int, seed: int, units: Floats = UNITS, categories: list[int] = CATEGORIES) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    coordinates = np.rint(rng.random((points, len(units))) * units)
    indicators = [np.eye(choices)[rng.integers(0, choices, points)] for choices in categories]
    return coordinates, np.concatenate([np.empty((points, 0)), *indicators], axis=1)


def planted(coordinates: Floats, indicators: Floats) -> Floats:
    """0.1 to 0.9: curves that saturate at 2, 4 and 0 units, half a unit later for the first choice."""
    knees = np.array([2.0, 4.0, 0.0]) + 0.5 * indicators[:, :1]
    curves = 1 - np.array([0.9, 0.7, 0.2]) / (1 + np.exp(1.5 * (coordinates - knees)))
    return np.asarray(0.1 + 0.8 * curves.prod(axis=1))


def fitted(
    values: Floats, coordinates: Floats, indicators: Floats, weights: Floats | None = None
) -> SaturatingEnsemble:
    categories = CATEGORIES if indicators.shape[1] == sum(CATEGORIES) else [1] * indicators.shape[1]
    model = SaturatingEnsemble(UNITS[: coordinates.shape[1]], categories, seed=1)
    model.fit(coordinates, indicators, values, np.ones(len(values)) if weights is None else weights, 60)
    return model


def test_slopes_are_finite_differences() -> None:
    model = SaturatingEnsemble(UNITS, CATEGORIES, seed=0)
    coordinates, indicators = inputs(9, 0)
    parameters = np.random.default_rng(2).normal(size=model._fitted.shape)
    values, slopes = model._value_and_slopes(parameters, coordinates, indicators)
    np.testing.assert_allclose(values, model._value(parameters, coordinates, indicators))
    for i in range(parameters.shape[1]):
        step = np.zeros(parameters.shape[1])
        step[i] = 1e-6
        ahead, behind = (model._value(parameters + sign * step, coordinates, indicators) for sign in (1, -1))
        np.testing.assert_allclose(slopes[..., i], (ahead - behind) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("points", [1, 4, 9, 20])
def test_moves_solve_the_system_of_the_parameters_with_few_points_and_with_many(points: int) -> None:
    rng = np.random.default_rng(points)
    slopes, descent = rng.normal(size=(3, points, 9)), rng.normal(size=(3, 9))
    weights, precision = rng.exponential(10, (3, points)), rng.exponential(1, (3, 9)) + 0.1
    weights[:, 0] = 0
    moves = _newton_moves(slopes, weights, precision, descent)
    for member in range(3):
        curvature = sum(
            weight * np.outer(row, row) for weight, row in zip(weights[member], slopes[member], strict=True)
        ) + np.diag(precision[member])
        np.testing.assert_allclose(curvature @ moves[member], descent[member], atol=1e-9)


def test_it_recovers_a_function_of_its_own_form() -> None:
    seen, unseen = inputs(60, 0), inputs(300, 1)
    predicted = fitted(planted(*seen), *seen).predict(*unseen).mean(axis=0)
    assert np.abs(predicted - planted(*unseen)).mean() < 0.02
    # A plane would not do.
    design = [np.column_stack((*part, np.ones(len(part[0])))) for part in (seen, unseen)]
    plane = design[1] @ np.linalg.lstsq(design[0], planted(*seen))[0]
    assert np.abs(plane - planted(*unseen)).mean() > 0.06


def test_scale_and_offset_of_values_do_not_matter() -> None:
    seen, unseen = inputs(30, 0), inputs(20, 1)
    # Exact in binary: a rounding error could decide otherwise which steps of a fit are taken.
    values = np.rint(planted(*seen) * 2**20) / 2**20
    base, moved = fitted(values, *seen), fitted(1_024 * values - 300, *seen)
    np.testing.assert_allclose(moved.predict(*unseen), 1_024 * base.predict(*unseen) - 300, rtol=1e-9)
    np.testing.assert_allclose(moved.noise, 1_024 * base.noise, rtol=1e-9)


def test_outliers_do_not_bend_it() -> None:
    seen, unseen = inputs(60, 0), inputs(300, 1)
    values = planted(*seen)
    values[[3, 17, 40]] = [1.5, -0.5, 1.2]
    predicted = fitted(values, *seen).predict(*unseen).mean(axis=0)
    assert np.abs(predicted - planted(*unseen)).mean() < 0.04


def test_what_weighs_little_tells_little() -> None:
    seen, unseen = inputs(60, 0), inputs(300, 1)
    values, weights = planted(*seen), np.ones(60)
    values[::3], weights[::3] = 0.1, 1e-4
    errors = [
        np.abs(fitted(values, *seen, each).predict(*unseen).mean(axis=0) - planted(*unseen)).mean()
        for each in (weights, np.ones(60))
    ]
    assert errors[0] < 0.03 < errors[1]


def test_a_member_does_not_explain_what_it_has_no_share_of() -> None:
    seen, unseen = inputs(60, 0), inputs(300, 1)
    values, shares = planted(*seen), np.ones((10, 60))
    values[::2] = 0.1
    shares[:5, ::2] = 0
    model = SaturatingEnsemble(UNITS, CATEGORIES, seed=1)
    model.fit(*seen, values, np.ones(60), 60, shares)
    errors = np.abs(model.predict(*unseen) - planted(*unseen)).mean(axis=1)
    assert errors[:5].max() < 0.06 < errors[5:].min()


def test_members_agree_near_data_and_differ_far_from_it() -> None:
    seen = inputs(40, 0)
    seen[0][:, 0] = 6
    model = fitted(planted(*seen), *seen)
    low = (np.column_stack((np.zeros(40), seen[0][:, 1:])), seen[1])
    assert model.predict(*low).std(axis=0).mean() > 4 * model.predict(*seen).std(axis=0).mean()


def test_noise_is_about_that_of_the_data() -> None:
    seen = inputs(200, 0)
    noisy = planted(*seen) + np.random.default_rng(3).normal(0, 0.1, 200)
    assert 0.06 < np.median(fitted(noisy, *seen).noise) < 0.15
    assert np.median(fitted(planted(*seen), *seen).noise) < 0.04


@pytest.mark.parametrize(("dimensions", "choices"), [(3, 0), (0, 5), (1, 0), (3, 5)])
@pytest.mark.parametrize("points", [1, 2, 30])
def test_few_points_constant_data_and_missing_kinds_of_dimensions_are_fitted(
    dimensions: int, choices: int, points: int
) -> None:
    coordinates, indicators = inputs(points, 0)
    coordinates, indicators = coordinates[:, :dimensions], indicators[:, :choices]
    for values in (np.full(points, 0.3), np.arange(points) / points):
        model = fitted(values, coordinates, indicators)
        predicted = model.predict(coordinates, indicators)
        assert predicted.shape == (10, points)
        assert np.isfinite(predicted).all()
        assert (model.noise > 0).all()


def test_the_choices_alone_can_explain_values() -> None:
    _, indicators = inputs(40, 0)
    values = 1 + 0.1 * indicators[:, 0]
    predicted = fitted(values, np.empty((40, 0)), indicators).predict(np.empty((40, 0)), indicators).mean(axis=0)
    assert predicted[indicators[:, 0] == 1].mean() > predicted[indicators[:, 0] == 0].mean() + 0.05


def test_it_does_not_expect_a_direction_unless_it_is_told() -> None:
    falling = [SaturatingEnsemble(UNITS, [], increasing=increasing, seed=0) for increasing in (True, False)]
    ends = np.stack((np.zeros(3), UNITS))
    rises = [np.diff(model.predict(ends, np.empty((2, 0))), axis=1) for model in falling]
    assert (rises[0] > 0).mean() >= 0.9
    assert 0.2 <= (rises[1] > 0).mean() <= 0.8


def test_a_fit_goes_on_from_the_last_one() -> None:
    seen = inputs(30, 0)
    model = fitted(planted(*seen), *seen)
    before = model.predict(*seen)
    model.fit(*seen, planted(*seen), np.ones(30), 1)
    np.testing.assert_allclose(model.predict(*seen), before, atol=0.02)


def test_a_member_in_a_local_optimum_goes_on_from_the_fit_of_another() -> None:
    seen = inputs(60, 0)
    model = fitted(planted(*seen), *seen)
    # No width matters: the curves are flat there, and steps lead nowhere.
    model._fitted[0, model._parts["knee"]] = -100.0
    model.fit(*seen, planted(*seen), np.ones(60), 1)
    assert np.abs(model.predict(*seen)[0] - planted(*seen)).mean() < 0.03
