"""What is expected of single parameters before there are trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import PartialFixedSampler
from optuna.study import Study

from qspinn_optuna import (
    Family,
    ParameterSpec,
    QuantizationConfig,
    QuantizationObjective,
    QuantizationSpace,
    Rounding,
    Scheme,
    open_study,
)
from qspinn_optuna.sampler import KnownObjectiveSampler, MemoryAwareSampler
from qspinn_optuna.sampler.known_objective.expectation import Beginning, curve, curves_of
from qspinn_optuna.sampler.known_objective.grid import Rows, SearchGrid
from qspinn_optuna.sampler.known_objective.initial_design import FRACTIONS
from qspinn_optuna.sampler.known_objective.observations import Observations
from qspinn_optuna.sampler.known_objective.prior import Expected, RandomizedPrior
from qspinn_optuna.sampler.known_objective.saturating import SaturatingEnsemble
from qspinn_optuna.study import Sensitivity, record_sensitivity
from tests.fake_workload import FakeWorkload
from tests.sampler.problems import Objective, all_different, cost, make_study, volume

KNEES = {"conv.weight": 1.0, "conv.v": 7.0, "lif.v": 2.0, "fc.weight": 6.0, "fc.v": 4.0, "out.weight": 9.0}
COUNTS = {"conv.weight": 9_000, "conv.v": 700, "lif.v": 2_000, "fc.weight": 4_000, "fc.v": 300, "out.weight": 1_500}


class Layers(FakeWorkload):
    """Every parameter loses accuracy around a width of its own."""

    parameters = tuple(  # type: ignore[assignment]
        ParameterSpec(name, Family.WEIGHT if name.endswith("weight") else Family.MEMBRANE, count, -1.0, 0.5)
        for name, count in COUNTS.items()
    )

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        del seed
        kept = np.prod([1 - lost(bits - KNEES[name]) for name, bits in config.bits.items()])
        yield round(100_000 * (0.1 + 0.85 * float(kept))), 100_000


SPACE = QuantizationSpace(Layers.parameters, (2, 16), schemes=(Scheme.PTQ,))


def lost(distance: float) -> float:
    return float(1 / (1 + 4.0**distance))


def sensitivity(knees: Mapping[str, float] = KNEES) -> Sensitivity:
    return Sensitivity({name: {bits: lost(bits - knee) for bits in range(2, 12)} for name, knee in knees.items()})


def reversed_sensitivity() -> Sensitivity:
    ends = min(KNEES.values()) + max(KNEES.values())
    return sensitivity({name: ends - knee for name, knee in KNEES.items()})


def searched(trials: int, seed: int, told: Sensitivity | None) -> Study:
    study = open_study("layers", None, SPACE, MemoryAwareSampler(SPACE, seed=seed), Layers())
    if told is not None:
        record_sensitivity(study, told)
    study.optimize(QuantizationObjective(Layers(), SPACE), n_trials=trials)
    return study


def hypervolume(study: Study, trials: int) -> float:
    """Of the first trials."""
    reference = SPACE.footprint(SPACE.uniform(16, Scheme.PTQ, Rounding.NEAREST)).kib
    return volume(study.trials[:trials], reference)


@pytest.mark.parametrize("at", [-1.0, 0.5, 3.0, 6.5])
@pytest.mark.parametrize("slope", [0.8, 1.4, 2.5])
def test_the_curve_goes_through_the_losses(at: float, slope: float) -> None:
    coordinates = np.arange(14.0)
    losses = 1 / (1 + np.exp(slope * (coordinates - at)))
    # What is lost to the last sample, or not at all, is measured as all and none.
    losses = np.where(losses < 0.001, 0, np.where(losses > 0.995, 1, losses))
    knee, found = curve(dict(zip(coordinates.tolist(), losses.tolist(), strict=True)))
    # The fewer losses, the more the slope is what is likely.
    between = sorted([slope, math.log(4)])
    assert between[0] - 0.15 <= found <= between[1] + 0.15
    told = (losses > 0.003) & (losses < 0.98)
    if told.sum() > 4:
        assert (knee, found) == pytest.approx((at, slope), abs=0.3)


def test_further_losses_of_none_and_of_all_change_nothing() -> None:
    some = {4.0: 1.0, 5.0: 0.6, 6.0: 0.3, 7.0: 0.1, 8.0: 0.0}
    more = {1.0: 1.0, 2.0: 1.0, **some, 9.0: 0.0, 14.0: 0.0}
    assert curve(more) == curve(some) == curve(dict(reversed(more.items())))
    assert 5 < curve(some)[0] < 6
    assert curve(dict.fromkeys(map(float, range(8)), 1.0) | {8.0: 0.0})[0] == pytest.approx(7.3, abs=0.3)


def test_a_single_loss_is_that_of_a_curve_that_falls_to_a_quarter_with_each_unit() -> None:
    assert curve({1.0: 0.5}) == pytest.approx((1.0, math.log(4)))
    assert curve({3.0: lost(3.0 - 1.5)}) == pytest.approx((1.5, math.log(4)))


def test_losses_that_rise_are_flat_and_halfway() -> None:
    knee, slope = curve({0.0: 0.2, 6.0: 0.8})
    assert (knee, slope) == pytest.approx((3.0, 0.4))


def test_no_loss_and_a_whole_loss_tell_a_side_and_nothing_tells_nothing() -> None:
    assert -6 <= curve({0.0: 0.0})[0] < -4
    assert 3 < curve({0.0: 1.0})[0] < 4
    assert np.isnan(curve({})).all()


def uniform_rows(grid: SearchGrid) -> Rows:
    return np.array([grid.spread(fraction, 0) for fraction in FRACTIONS])


def observed(rows: Rows, gains: list[float]) -> Observations:
    some = len(gains)
    return Observations(
        rows[:some],
        rows[:some].sum(axis=1),
        np.array(gains),
        np.ones(some),
        np.ones(some, bool),
        rows[:0],
        -np.inf,
        np.inf,
        {},
    )


GRID = SearchGrid({"a": IntDistribution(2, 10), "b": IntDistribution(2, 10), "c": IntDistribution(1, 33)})
WEIGHTS = np.array([5.0, 1.0, 1.0])


def cost_of(rows: Rows) -> Any:
    return rows @ WEIGHTS


LOSSES = {"a": {bits: lost(bits - 3) for bits in range(2, 8)}, "b": {8: lost(8 - 9), 40: 0.3}}


def beginning(uniform: Rows | None = None) -> Beginning:
    curves = curves_of(GRID, LOSSES)
    assert curves is not None
    return Beginning.of(GRID, curves, cost_of, uniform_rows(GRID) if uniform is None else uniform)


def test_knees_are_in_units_from_the_smallest_value_and_unknown_where_nothing_is_told() -> None:
    curves = curves_of(GRID, LOSSES)
    assert curves is not None
    np.testing.assert_allclose(curves[0], [1, 7, np.nan], atol=0.05)
    np.testing.assert_allclose(curves[1], [math.log(4), math.log(4), np.nan], atol=0.05)


@pytest.mark.parametrize("losses", [{}, {"other": {2: 0.1}}, {"a": {40: 0.1}}])
def test_what_tells_nothing_of_the_space_is_no_expectation(losses: dict[str, dict[int, float]]) -> None:
    assert curves_of(GRID, losses) is None


def test_the_first_configurations_cost_about_the_same_and_are_expected_to_lose_less() -> None:
    made = beginning()

    def loss(rows: Rows) -> Any:
        coordinates = rows[:, :2]  # A value is a unit in both.
        return np.log1p(4.0 ** -(coordinates - np.array([1, 7]))).sum(axis=1)

    paired = [1, 2, 3, 4]
    # A step of the first parameter costs five.
    assert (np.abs(cost_of(made.matched) - cost_of(made.uniform)) <= 5).all()
    assert (loss(made.matched[paired]) < loss(made.uniform[paired])).all()
    np.testing.assert_array_equal(made.matched[0], made.uniform[0])


def test_what_keeps_its_value_in_the_first_configurations_keeps_it() -> None:
    uniform = uniform_rows(GRID)
    uniform[:, 2] = 32
    made = beginning(uniform)
    assert (made.matched[:, 2] == 32).all()
    assert (np.abs(cost_of(made.matched) - cost_of(made.uniform)) <= 5).all()


def test_dimensions_of_few_values_are_narrowed_by_their_own_values() -> None:
    grid = SearchGrid({"few": IntDistribution(2, 4), "many": IntDistribution(2, 16)})
    curves = curves_of(grid, {name: {2: 0.5, 3: 0.2, 4: 0.06} for name in ("few", "many")})
    assert curves is not None
    uniform = np.array([[2.0, 14.0], [2.0, 2.0], [1.0, 1.0], [1.0, 2.0], [0.0, 1.0], [0.0, 0.0]])
    made = Beginning.of(grid, curves, lambda rows: rows @ np.array([1.0, 1.01]), uniform)
    # Of two equal ones, what saves a little more goes first.
    assert made.matched[3].tolist() == [2.0, 1.0]
    assert made.matched[4].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("gains", "refuted"),
    [
        ([], False),
        ([0.9], False),
        ([0.9, 0.8], False),
        ([0.9, 0.8, 0.85], False),
        ([0.9, 0.8, 0.76], False),  # Less than a twentieth of the largest one behind: noise.
        ([0.9, 0.8, 0.75], True),
        ([-0.9, -1.0, -1.1], True),
    ],
)
def test_a_pair_of_one_cost_decides_with_what_the_study_goes_on(gains: list[float], refuted: bool) -> None:
    made = beginning()
    first = np.array([made.uniform[0], made.uniform[2], made.matched[2]])
    known = observed(first, gains)
    if gains:
        assert made.is_refuted(known) is refuted
    rows = made.rows(known)
    np.testing.assert_array_equal(rows[:3], first)
    np.testing.assert_array_equal(rows[3:5], (made.uniform if refuted else made.matched)[[1, 4]])
    np.testing.assert_array_equal(rows[5], made.uniform[5])


@pytest.mark.parametrize(("further", "refuted"), [([0.7, 0.9], True), ([0.9, 0.7], False)])
def test_where_a_pair_has_collapsed_the_next_one_decides(further: list[float], refuted: bool) -> None:
    made = beginning()
    rows = np.array([made.uniform[0], made.uniform[2], made.matched[2], made.matched[1], made.uniform[1]])
    np.testing.assert_array_equal(made.rows(observed(rows, [0.9, 0.11, 0.1]))[3:5], rows[3:5])
    assert not made.is_refuted(observed(rows, [0.9, 0.11, 0.1]))
    assert made.is_refuted(observed(rows, [0.9, 0.11, 0.1, *further])) is refuted


def test_the_largest_values_need_not_be_known() -> None:
    made = beginning()
    assert made.is_refuted(observed(np.array([made.uniform[2], made.matched[2]]), [0.8, 0.7]))


def test_fits_that_settle_elsewhere_make_the_prior_what_it_would_be_without_an_expectation() -> None:
    mean, deviation = np.zeros(6), np.full(6, 3.0)
    values = np.array([4.0, -4.0, 4.0, -4.0, 3.0, np.nan])
    expected = Expected(values, np.array([1.0, 1.0, 1.0, 1.0, 0.5, 1.0]), judged=slice(0, 4))
    plain, told = (RandomizedPrior(mean, deviation, 200, 0, one) for one in (None, expected))
    np.testing.assert_allclose(told.means[:, :4].mean(axis=0), 0.9 * values[:4], atol=0.3)
    np.testing.assert_allclose(told.precision[4], 4 + 1 / 9)
    np.testing.assert_allclose(told.means[:, 5], plain.means[:, 5])
    for _ in range(5):
        told.learn(np.tile(-100 * np.nan_to_num(values), (200, 1)))
    np.testing.assert_allclose(told.means, plain.means, atol=0.1)
    np.testing.assert_allclose(told.precision, plain.precision, rtol=0.01)


def test_a_single_expectation_loses_its_influence_too() -> None:
    values = np.array([4.0, np.nan, np.nan])
    told = RandomizedPrior(np.zeros(3), np.full(3, 3.0), 10, 0, Expected(values, np.ones(3), judged=slice(0, 3)))
    before = float(told.precision[0])
    for _ in range(5):
        told.learn(np.tile([-20.0, 0.0, 0.0], (10, 1)))
    assert told.precision[0] < 1.2 / 9 < before


def test_fits_where_they_were_expected_or_all_moved_alike_leave_the_prior_as_it_is() -> None:
    expected = Expected(np.array([4.0, -4.0, 1.0, np.nan]), np.ones(4), judged=slice(0, 4))
    told = RandomizedPrior(np.zeros(4), np.full(4, 3.0), 10, 0, expected)
    before = told.means.copy()
    told.learn(np.tile(np.nan_to_num(expected.values) + 50.0, (10, 1)))
    np.testing.assert_array_equal(told.means, before)


def test_expected_knees_make_few_observations_tell_more() -> None:
    units, rng = np.full(6, 14.0), np.random.default_rng(0)
    knees = np.array(list(KNEES.values())) - 2

    def values(coordinates: Any) -> Any:
        return np.prod(1 - 1 / (1 + 4.0 ** (coordinates - knees)), axis=1)

    seen, unseen = np.rint(rng.uniform(0, 14, (2, 300, 6)))
    seen, none = seen[:10], np.zeros((10, 0))
    errors = []
    for told in (knees, None, knees.max() + knees.min() - knees):
        expected = None if told is None else np.array([told, np.full(6, math.log(4))])
        model = SaturatingEnsemble(units, [], seed=0, expected=expected)
        for _ in range(5):
            model.fit(seen, none, values(seen), np.ones(10))
        mean = model.predict(unseen, np.zeros((300, 0))).mean(axis=0)
        errors.append(float(np.abs(mean - values(unseen)).mean()))
    right, without, wrong = errors
    assert right < 0.8 * without < without < wrong


def test_a_study_with_the_right_sensitivity_is_ahead_and_with_a_wrong_one_not_far_behind() -> None:
    told = {"right": sensitivity(), "without": None, "reversed": reversed_sensitivity()}
    studies = {name: [searched(20, seed, one) for seed in range(2)] for name, one in told.items()}
    volumes = {name: [[hypervolume(one, after) for one in some] for after in (8, 20)] for name, some in studies.items()}
    best = max(max(after[1]) for after in volumes.values())
    missing = {name: [best - float(np.mean(one)) for one in after] for name, after in volumes.items()}
    assert missing["right"][0] < 0.6 * missing["without"][0]
    assert missing["reversed"][1] < 2 * missing["without"][1]


class Told(KnownObjectiveSampler):
    """Expects losses of two numbers whatever the study is."""

    def _expected_losses(self, study: Study) -> Mapping[str, Mapping[Any, float]]:
        del study
        return {"x": {2: 0.5, 3: 0.2}, "y": {2: 0.0}}


def test_a_known_objective_that_is_not_linear_and_numbers_that_are_no_widths_have_expectations_too() -> None:
    space = {
        "x": IntDistribution(2, 8),
        "y": IntDistribution(1, 128, log=True),
        "f": FloatDistribution(0, 4),
        "kind": CategoricalDistribution(["a", "b"]),
    }
    study = make_study(Told(space, lambda params: cost(params) ** 2, seed=0))
    study.optimize(Objective(space), n_trials=12)
    assert all_different(study.trials)


def test_eighty_parameters_with_one_width_each_are_nothing_to_search() -> None:
    parameters = [ParameterSpec(f"w{i}", Family.WEIGHT, 100, 0.0, 0.5) for i in range(80)]
    space = QuantizationSpace(parameters, (4, 4), schemes=(Scheme.PTQ,), roundings=(Rounding.NEAREST,))
    with pytest.raises(ValueError, match="more than one configuration"):
        MemoryAwareSampler(space)


@pytest.mark.parametrize("held", [{"rounding": "nearest"}, {"bits.lif.v": 9}])
def test_what_is_held_is_held_in_the_pair_that_decides_too(held: dict[str, Any]) -> None:
    study = open_study("layers", None, SPACE, MemoryAwareSampler(SPACE, seed=0), Layers())
    record_sensitivity(study, reversed_sensitivity())
    study.sampler = PartialFixedSampler(held, study.sampler)
    study.optimize(QuantizationObjective(Layers(), SPACE), n_trials=7)
    assert all(trial.params[name] == value for trial in study.trials for name, value in held.items())
    # The pair at a quarter of the range is at chance, that at half of it decides: the fifth trial has one width again.
    widths = [{bits for name, bits in one.params.items() if name.startswith("bits.")} for one in study.trials]
    uniform = [len(one) <= 3 for one in widths]  # The one that is held, and what stays wide.
    assert uniform[:5] == [True, True, False, False, True]


def test_a_space_without_widths_to_search_has_no_expectations() -> None:
    space = QuantizationSpace(Layers.parameters, (4, 4))
    study = open_study("layers", None, space, MemoryAwareSampler(space, seed=0), Layers())
    with pytest.raises(ValueError, match=r"whose widths study 'layers' searches, which are none, got 'fc\.weight'"):
        record_sensitivity(study, Sensitivity({"fc.weight": {4: 0.1}}))


def test_where_networks_are_quantized_in_training_the_first_trials_are_as_without() -> None:
    space = QuantizationSpace(Layers.parameters, (2, 16))
    studies = []
    for told in (sensitivity(), None):
        study = open_study("layers", None, space, MemoryAwareSampler(space, seed=0), Layers())
        if told is not None:
            record_sensitivity(study, told)
        study.optimize(QuantizationObjective(Layers(), space), n_trials=7)
        studies.append([trial.params for trial in study.trials])
    assert studies[0][:6] == studies[1][:6]
    assert studies[0][6] != studies[1][6]


def test_what_a_study_is_told_later_counts_from_then_on() -> None:
    study = searched(8, 0, None)
    record_sensitivity(study, sensitivity())
    study.optimize(QuantizationObjective(Layers(), SPACE), n_trials=1)
    assert study.trials[8].params != searched(9, 0, None).trials[8].params
