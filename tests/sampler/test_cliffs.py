"""Where the other objective collapses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from qspinn_optuna.sampler.known_objective import cliffs as cliffs_module
from qspinn_optuna.sampler.known_objective.cliffs import Cliffs
from qspinn_optuna.sampler.known_objective.model import CliffModel
from qspinn_optuna.sampler.known_objective.residuals import ResidualProcess

Floats = NDArray[np.float64]

UNITS = np.array([6.0, 6.0, 3.0])


def everywhere(units: Floats = UNITS) -> Floats:
    return np.array(list(itertools.product(*(range(int(length) + 1) for length in units))), np.float64)


def beyond(coordinates: Floats, edge: float = 1.5) -> NDArray[np.bool_]:
    """The first dimension may outgrow the second by so much."""
    return np.asarray(coordinates[:, 0] - coordinates[:, 1] > edge)


def densities(collapsed: NDArray[np.bool_], members: int = 10) -> tuple[Floats, Floats]:
    """Logarithms under which collapsed values cannot be intact, and the others cannot have collapsed."""
    return np.tile(np.where(collapsed, -50.0, 2.0), (members, 1)), np.where(collapsed, 2.0, -np.inf)


def test_a_cliff_is_found_and_only_that_one() -> None:
    points = np.random.default_rng(0).permutation(everywhere())[:40]
    cliffs = Cliffs(UNITS, 10, seed=0)
    cliffs.sample(points, *densities(beyond(points)), np.ones(40))
    expected = np.where(beyond(everywhere()), 0.01, 1.0)
    np.testing.assert_allclose(np.median(cliffs.intact(everywhere()), axis=0), expected)


def test_before_there_are_data_everything_is_intact() -> None:
    assert (Cliffs(UNITS, 10, seed=0).intact(everywhere()) == 1).all()


def test_where_nothing_collapsed_hardly_anything_is_beyond_an_edge() -> None:
    points = everywhere()
    cliffs = Cliffs(UNITS, 10, seed=0)
    cliffs.sample(points, *densities(np.zeros(len(points), bool)), np.ones(len(points)))
    assert (cliffs.intact(points) == 1).all()


def test_one_low_value_leaves_it_open_and_a_whole_side_of_them_does_not() -> None:
    points = np.array([[6.0, 0, 0], [6, 6, 0], [0, 0, 0], [5, 4, 1], [3, 3, 2]])
    one = Cliffs(UNITS, 200, seed=0)
    one.sample(points, *densities(beyond(points), 200), np.ones(5))
    assert 0.1 < (one.intact(points)[:, 0] < 1).mean() < 0.7
    points = everywhere()
    many = Cliffs(UNITS, 200, seed=0)
    many.sample(points, *densities(beyond(points), 200), np.ones(len(points)))
    assert (many.intact(points)[:, beyond(points)] < 1).all()


def test_what_weighs_nothing_makes_no_edge() -> None:
    points = everywhere()
    cliffs = Cliffs(UNITS, 10, seed=0)
    cliffs.sample(points, *densities(beyond(points)), np.full(len(points), 1e-6))
    assert (cliffs.intact(points) == 1).mean() > 0.8


def test_edges_are_drawn_by_their_posterior(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two dimensions only one pair can have an edge that matters: its posterior is summed by hand."""
    monkeypatch.setattr(cliffs_module, "_EXPECTED", 1.0)
    units = np.array([3.0, 0.0])
    points = np.array([[0.0, 0], [1, 0], [2, 0], [3, 0]])
    log_intact, log_collapsed = np.array([0.0, -1.0, -2.0, -2.5]), np.array([-np.inf, 0.0, 0.5, 0.5])
    members = 20_000
    cliffs = Cliffs(units, members, seed=1)
    cliffs.sample(points, np.tile(log_intact, (members, 1)), log_collapsed, np.ones(4))
    # Edges at -0.5, 0.5, 1.5, 2.5 of x_0 - x_1, and at -3.5 to -0.5 of x_1 - x_0, which is minus the same.
    first = [*np.arange(-0.5, 3), np.inf]
    second = [*np.arange(-3.5, 0), np.inf]
    weight = np.empty((len(first), len(second)))
    for (i, edge), (j, other) in itertools.product(enumerate(first), enumerate(second)):
        outside = (points[:, 0] > edge).astype(int) + (-points[:, 0] > other).astype(int)
        probability = 0.99 * 0.01**outside
        likelihood = probability * np.exp(log_intact) + (1 - probability) * np.exp(log_collapsed)
        prior = (1 / 8 if np.isfinite(edge) else 1) * (1 / 8 if np.isfinite(other) else 1)
        weight[i, j] = likelihood.prod() * prior
    posterior = weight.sum(axis=1) / weight.sum()
    drawn = [float((cliffs._edges[:, 0] == edge).mean()) for edge in first]
    np.testing.assert_allclose(drawn, posterior, atol=0.02)


def test_a_value_beyond_no_edge_has_not_collapsed_however_low_it_is() -> None:
    points = everywhere()
    shares = Cliffs(UNITS, 3, seed=0).shares(points, *densities(beyond(points), 3))
    np.testing.assert_allclose(shares, 1)


@pytest.mark.parametrize("dimensions", [0, 1])
def test_without_a_pair_there_is_no_cliff(dimensions: int) -> None:
    points = np.zeros((4, dimensions))
    cliffs = Cliffs(np.ones(dimensions), 10, seed=0)
    cliffs.sample(points, *densities(np.array([True, False, False, True])), np.ones(4))
    assert (cliffs.intact(points) == 1).all()


def curves(coordinates: Floats) -> Floats:
    return np.asarray(0.1 + 0.8 * (1 - 0.8 * np.exp2(-coordinates)).prod(axis=1))


def model_of(points: Floats, values: Floats) -> CliffModel:
    model = CliffModel(UNITS, [], increasing=True, seed=0)
    for _ in range(5):
        model.fit(points, np.empty((len(points), 0)), values, np.ones(len(points)), np.zeros(len(points)))
    return model


@pytest.mark.parametrize("edge", [1.5, -1.5], ids=["a third collapsed", "most collapsed"])
def test_collapsed_values_do_not_bend_the_curves(edge: float) -> None:
    points = np.random.default_rng(0).permutation(everywhere())[:60]
    values = np.where(beyond(points, edge), 0.1, curves(points))
    model = model_of(points, values)
    unseen = everywhere()
    intact = ~beyond(unseen, edge)
    expected = model.predict(unseen, np.empty((len(unseen), 0))).mean(axis=0)
    assert np.abs(expected - curves(unseen))[intact].mean() < 0.02
    probability = model.intact(unseen).mean(axis=0)
    assert probability[intact].mean() > 0.95
    assert probability[~intact].mean() < 0.1


def test_a_collapsed_value_says_nothing_about_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    fit = ResidualProcess.fit

    def spy(process: ResidualProcess, *args: Floats) -> None:
        seen.append(args[2])
        fit(process, *args)

    monkeypatch.setattr(ResidualProcess, "fit", spy)
    points = np.random.default_rng(0).permutation(everywhere())[:60]
    collapsed = beyond(points)
    # Off the curves by what neighbours have in common.
    model = model_of(points, np.where(collapsed, 0.1, curves(points) + 0.05 * np.sin(points.sum(axis=1) / 2)))
    # Residuals are fitted when they are asked for.
    assert seen == []
    assert model.noise.min() > 0
    residuals = np.abs(seen[-1])
    assert residuals[:, collapsed].max() < 0.01 * residuals[:, ~collapsed].max()


def test_scale_and_offset_of_values_do_not_matter_to_cliffs() -> None:
    points = np.random.default_rng(0).permutation(everywhere())[:60]
    # Exact in binary: a rounding error could decide otherwise which steps of a fit are taken.
    values = np.rint(np.where(beyond(points), 0.1, curves(points)) * 2**20) / 2**20
    base, moved = model_of(points, values), model_of(points, 1_024 * values - 300)
    np.testing.assert_array_equal(moved.intact(everywhere()), base.intact(everywhere()))
    np.testing.assert_allclose(moved.noise, 1_024 * base.noise, rtol=1e-4)


@pytest.mark.filterwarnings("error")
def test_values_may_be_of_any_size_and_grow() -> None:
    points = everywhere()
    nothing = np.empty((len(points), 0))
    model = CliffModel(UNITS, [], increasing=True, seed=0)
    for scale in (1e200, 1.0, 1e200):
        values = scale * np.where(beyond(points), 0.1, curves(points))
        model.fit(points, nothing, values, np.ones(len(points)), np.zeros(len(points)))
        assert np.isfinite(model.predict(points, nothing)).all()
        assert np.isfinite(model.noise).all()


def test_neighbours_explain_a_part_of_the_noise() -> None:
    points = everywhere()
    wave = 0.05 * np.sin(points.sum(axis=1) / 2)
    smooth = model_of(points, curves(points) + wave)
    rng = np.random.default_rng(1)
    rough = model_of(points, curves(points) + rng.permutation(wave))
    assert np.median(smooth.noise) < 0.5 * np.median(rough.noise)
