"""Search spaces in rows of numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from qspinn_optuna.sampler.known_objective.grid import MAX_UNITS, SearchGrid
from tests.sampler.problems import MIXED, SMALL, TWELVE


@st.composite
def integers(draw: st.DrawFn) -> IntDistribution:
    low, size = draw(st.integers(-1_000, 1_000)), draw(st.integers(1, 2_000))
    if draw(st.booleans()):
        return IntDistribution(max(low, 1), max(low, 1) + size, log=True)
    step = draw(st.integers(1, size))
    return IntDistribution(low, low + size // step * step, step=step)


@st.composite
def floats(draw: st.DrawFn) -> FloatDistribution:
    low, size = draw(st.floats(-1e3, 1e3)), draw(st.floats(1e-3, 1e3))
    kind = draw(st.sampled_from(["plain", "log", "step"]))
    if kind == "log":
        low = abs(low) + 1e-6
        return FloatDistribution(low, low + size, log=True)
    if kind == "step":
        # Binary fractions, which a range is divisible by without an error of rounding.
        return FloatDistribution(round(low), round(low) + draw(st.integers(1, 50)) / 8, step=0.125)
    return FloatDistribution(low, low + size)


def choices() -> st.SearchStrategy[CategoricalDistribution]:
    values = st.none() | st.booleans() | st.text(max_size=3) | st.floats(allow_nan=False)
    # Equal choices, such as False and 0.0, are one to Optuna.
    return st.lists(values, min_size=1, max_size=5, unique=True).map(CategoricalDistribution)


def spaces() -> st.SearchStrategy[dict[str, BaseDistribution]]:
    dimension: st.SearchStrategy[Any] = integers() | floats() | choices()
    named = st.lists(dimension, min_size=1, max_size=4).map(lambda all_: {f"p{i}": d for i, d in enumerate(all_)})
    return named.filter(lambda space: not all(dimension.single() for dimension in space.values()))


def contains(distribution: BaseDistribution, value: Any) -> bool:
    return bool(distribution._contains(distribution.to_internal_repr(value)))


@settings(deadline=None)
@given(spaces(), st.integers(0, 1_000))
def test_rows_become_parameters_of_the_space_and_the_same_rows_again(
    space: dict[str, BaseDistribution], seed: int
) -> None:
    grid, rng = SearchGrid(space), np.random.default_rng(seed)
    drawn = grid.draw(5, rng)
    for row in (*drawn, *grid.mutate(drawn, rng), *(grid.spread(fraction, 1) for fraction in (0.0, 0.3, 1.0))):
        params = grid.decode(row)
        assert params.keys() == space.keys()
        assert all(contains(space[name], value) for name, value in params.items())
        again = grid.encode(params)
        assert again is not None
        np.testing.assert_allclose(again, row, atol=1e-6)


@settings(deadline=None)
@given(spaces(), st.integers(0, 1_000))
@example({"x": FloatDistribution(1e-3, 1, log=True)}, 0)
def test_what_is_suggested_is_recognized(space: dict[str, BaseDistribution], seed: int) -> None:
    """Configurations are told apart by their rows, so the row of a suggestion must be that of its trial."""
    grid, rng = SearchGrid(space), np.random.default_rng(seed)
    drawn = grid.draw(5, rng)
    for row in (*drawn, *grid.mutate(drawn, rng), *(grid.spread(fraction, 1) for fraction in (0.0, 0.3, 1.0))):
        again = grid.encode(grid.decode(row))
        assert again is not None
        np.testing.assert_allclose(again, row, rtol=0, atol=1e-6)
        assert again.tobytes() == grid.identity(grid.decode(row))


@settings(deadline=None)
@given(spaces(), st.integers(0, 1_000))
def test_features_lie_within_the_units(space: dict[str, BaseDistribution], seed: int) -> None:
    grid = SearchGrid(space)
    coordinates, indicators = grid.features(grid.draw(20, np.random.default_rng(seed)))
    assert coordinates.shape == (20, len(grid.units))
    assert indicators.shape == (20, sum(grid.categories))
    assert (grid.units <= MAX_UNITS).all()
    assert (coordinates >= 0).all()
    assert (coordinates <= grid.units + 1e-9).all()
    np.testing.assert_array_equal(indicators.sum(axis=1), len(grid.categories))


def test_the_ends_of_a_range_are_the_ends_of_the_units() -> None:
    grid = SearchGrid(MIXED)
    for fraction, expected in ((0.0, np.zeros(6)), (1.0, grid.units)):
        coordinates, _ = grid.features(grid.spread(fraction, 0)[None])
        np.testing.assert_allclose(coordinates[0], expected)
    assert grid.units.tolist() == [16, 4, 16, 16, 10, 16]


def test_coordinates_grow_with_values_and_logarithms_evenly() -> None:
    grid = SearchGrid({"x": IntDistribution(1, 64, log=True), "y": FloatDistribution(1e-4, 1, log=True)})
    rows = [grid.encode({"x": 4**i, "y": 10 ** (-4 + 4 * i / 3)}) for i in range(4)]
    coordinates, _ = grid.features(np.array(rows))
    np.testing.assert_allclose(coordinates, np.arange(4)[:, None] * [[16 / 3, 16 / 3]], atol=1e-9)


def test_everything_is_every_point_once() -> None:
    for space, cardinality in ((TWELVE, 12), (SMALL, 2_058)):
        grid = SearchGrid(space)
        assert grid.cardinality == cardinality
        rows = grid.everything()
        assert len({row.tobytes() for row in rows}) == len(rows) == cardinality
        params = [grid.decode(row) for row in rows]
        assert all(contains(space[name], value) for each in params for name, value in each.items())


def test_a_continuous_space_has_no_end() -> None:
    assert SearchGrid(MIXED).cardinality == math.inf


def test_draws_reach_every_value() -> None:
    grid = SearchGrid({name: MIXED[name] for name in ("stepped", "logarithmic", "float_stepped", "kind")})
    rows = grid.draw(20_000, np.random.default_rng(0))
    assert [len(np.unique(column)) for column in rows.T] == [5, 128, 11, 3]
    # As likely one as the other; on a logarithmic scale as likely one octave as the other.
    assert np.bincount(rows[:, 0].astype(int)).min() > 3_600
    values = rows[:, 1] + 1
    octaves = [np.mean((values >= 2**i) & (values < 2 ** (i + 1))) for i in range(1, 7)]
    assert max(octaves) - min(octaves) < 0.06


def test_mutations_change_one_to_three_dimensions_by_a_little() -> None:
    grid = SearchGrid(SMALL | {"long": IntDistribution(0, 1_000), "float": FloatDistribution(0, 1)})
    rows = grid.draw(2_000, np.random.default_rng(0))
    before = rows.copy()
    changed = grid.mutate(rows, np.random.default_rng(1))
    np.testing.assert_array_equal(rows, before)
    moved = (changed != rows).sum(axis=1)
    # A change may be undone at an end of a range or fall on the same choice.
    assert moved.max() == 3
    assert (moved == 0).mean() < 0.2
    assert (changed != rows).mean(axis=0).min() > 0.1
    assert np.abs(changed - rows)[:, :3].max() <= 9
    assert 50 < np.abs(changed - rows)[:, 5].max() <= 3 * 3 * 63
    assert np.abs(changed - rows)[:, 6].max() < 1


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"width": 1},
        {"width": 4, "kind": "a"},
        {"width": 1.5, "kind": "a"},
        {"width": "wide", "kind": "a"},
        {"width": None, "kind": "a"},
        {"width": math.nan, "kind": "a"},
        {"width": 1, "kind": "d"},
    ],
)
def test_what_is_no_point_has_no_row(params: dict[str, Any]) -> None:
    assert SearchGrid(TWELVE).encode(params) is None


def test_parameters_of_other_origin_are_ignored() -> None:
    row = SearchGrid(TWELVE).encode({"width": 2, "kind": "c", "other": 5})
    assert row is not None
    assert row.tolist() == [2, 2]


def test_the_choices_of_points_along_the_ranges_take_turns() -> None:
    grid = SearchGrid(SMALL)
    assert [grid.decode(grid.spread(0.5, turn))["kind"] for turn in range(4)] == ["a", "b", "c", "a"]
    assert [grid.decode(grid.spread(0.5, turn))["x"] for turn in range(4)] == [5] * 4


@settings(deadline=None)
@given(spaces(), st.integers(0, 1_000))
def test_neighbours_differ_in_one_dimension(space: dict[str, BaseDistribution], seed: int) -> None:
    grid, rng = SearchGrid(space), np.random.default_rng(seed)
    row = grid.draw(1, rng)[0]
    near = grid.neighbours(row)
    changed = near != row
    assert (changed.sum(axis=1) == 1).all()
    assert all(contains(space[name], value) for point in near for name, value in grid.decode(point).items())
    is_choice = np.array([isinstance(space[name], CategoricalDistribution) for name in grid.names])
    by_choice = (changed & is_choice).any(axis=1)
    assert by_choice.sum() == sum(n - 1 for n in grid.categories)


def test_neighbours_are_all_that_are_a_step_away() -> None:
    grid = SearchGrid(TWELVE)
    for width, expected in ((0, {1}), (1, {0, 2}), (3, {2})):
        row = grid.encode({"width": width, "kind": "b"})
        assert row is not None
        near = [grid.decode(point) for point in grid.neighbours(row)]
        assert sorted(params["kind"] for params in near if params["width"] == width) == ["a", "c"]
        assert sorted(params["width"] for params in near if params["kind"] == "b") == sorted(expected)
        assert len(near) == 2 + len(expected)
