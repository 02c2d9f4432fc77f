"""Known objectives that are linear in the parameters, against their values one by one."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from qspinn_optuna.sampler.known_objective.grid import SearchGrid
from qspinn_optuna.sampler.known_objective.linear import Linear
from qspinn_optuna.sampler.known_objective.objectives import KnownObjective
from tests.sampler.problems import MIXED

SLOPES = {"integer": 3.0, "stepped": -2.0, "logarithmic": 0.5, "float": 0.25, "float_stepped": 7.0}


@pytest.mark.parametrize("slopes", [{}, SLOPES, {**SLOPES, "float_logarithmic": 2.0}])
def test_rows_have_the_values_of_their_parameters(slopes: dict[str, float]) -> None:
    grid, function = SearchGrid({**MIXED, "single": IntDistribution(3, 3)}), Linear(11.0, {**slopes, "single": 5.0})
    rows = grid.draw(50, np.random.default_rng(0))
    expected = [11 + 15 + sum(slope * grid.decode(row)[name] for name, slope in slopes.items()) for row in rows]
    np.testing.assert_allclose(KnownObjective(function, grid)(rows), expected, rtol=1e-12)


def test_a_logarithmic_range_is_not_linear_in_rows() -> None:
    grid = SearchGrid({"rate": FloatDistribution(1e-3, 1, log=True)})
    assert Linear(0.0, {"rate": 1.0}).in_rows(grid) is None


@pytest.mark.parametrize(
    ("name", "message"), [("kind", "must be of numeric parameters"), ("other", "must be of parameters of search_space")]
)
def test_coefficients_are_of_numeric_parameters_of_the_space(name: str, message: str) -> None:
    grid = SearchGrid({"x": IntDistribution(1, 4), "kind": CategoricalDistribution(["a", "b"])})
    with pytest.raises(ValueError, match=message):
        KnownObjective(Linear(0.0, {name: 1.0}), grid)
