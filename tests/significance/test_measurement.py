from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspinn_optuna import QuantizationConfig, Rounding, Scheme
from qspinn_optuna.significance import SignificanceReport, WidthCurve, WidthPoint, measure_significance
from tests.fake_workload import FakeWorkload, fake_space
from tests.significance.networks import SAMPLES, Cliffs, cliff_space


def test_the_full_sweep_is_every_width_on_all_samples() -> None:
    workload, space = Cliffs(), cliff_space()
    report = measure_significance(workload, space, stop_early=False)
    # Per scheme and rounding 16 widths of 3 parameters, which share the widest point.
    assert report.evaluations == workload.evaluated == 2 * 3 * (3 * 16 - 2)
    assert report.samples == workload.samples == report.evaluations * SAMPLES
    assert len(report.curves) == 2 * 3 * 3
    for curve in report.curves:
        assert [point.width for point in curve.points] == list(range(1, 17))
        for point in curve.points:
            config = space.config(
                {
                    **space.params(space.uniform(16, curve.scheme, curve.rounding)),
                    f"bits.{curve.parameter}": point.width,
                }
            )
            assert point.accuracy == workload.accuracy(config)
            assert point.low < point.accuracy < point.high


def narrowest_by_formula(workload: Cliffs, curve: WidthCurve, tolerance: float) -> int:
    knee, loss = workload.knees[curve.parameter]
    later = curve.rounding is Rounding.TRUNCATION
    return next(width for width in range(1, 17) if loss * max(0, knee + later - width) <= tolerance + 1e-9)


KNEES = st.tuples(st.integers(1, 16), st.sampled_from([0.0, 0.004, 0.02, 0.05, 0.3]))


@settings(max_examples=40, deadline=None)
@given(KNEES, KNEES, KNEES, st.sampled_from([0.0, 0.01, 0.03]))
def test_the_narrowest_width_is_where_the_accuracy_says(
    weight: tuple[int, float], membrane: tuple[int, float], theta: tuple[int, float], tolerance: float
) -> None:
    workload = Cliffs({"weight": weight, "membrane": membrane, "theta": theta})
    report = measure_significance(workload, cliff_space(schemes=(Scheme.PTQ,)), tolerance=tolerance, confidence=0.9999)
    for curve in report.curves:
        later = curve.rounding is Rounding.TRUNCATION
        # If the knee is the widest width, truncation would need one bit more, and all its curves begin lower.
        if all(loss * max(0, knee + later - 16) == 0 for knee, loss in workload.knees.values()):
            assert curve.narrowest == narrowest_by_formula(workload, curve, tolerance)


def test_stopping_early_gives_the_same_answers_for_a_third() -> None:
    full = measure_significance(Cliffs(), cliff_space(), stop_early=False)
    early = measure_significance(Cliffs(), cliff_space())
    assert early.ranking == full.ranking == ("membrane", "theta", "weight")
    assert early.narrowest == full.narrowest == {"weight": 2, "membrane": 9, "theta": 6}
    assert [curve.narrowest for curve in early.curves] == [curve.narrowest for curve in full.curves]
    assert early.evaluations <= full.evaluations / 3
    assert early.samples <= full.samples / 3


def test_the_loss_per_bit_is_that_of_the_formula() -> None:
    report = measure_significance(Cliffs(), cliff_space(roundings=(Rounding.NEAREST,)), stop_early=False)
    lost = sum(0.04 * (6 - width) for width in range(1, 6))
    assert report.loss_per_bit["theta"] == pytest.approx(lost / sum(16 - width for width in range(1, 16)))


def test_a_rounding_that_fails_when_everything_is_wide_has_no_narrowest_width() -> None:
    report = measure_significance(Cliffs(widest_loss=0.05), cliff_space())
    assert {curve.scheme for curve in report.curves if curve.narrowest is None} == {Scheme.PTQ}
    assert {curve.scheme for curve in report.curves if curve.narrowest is not None} == {Scheme.ITQ}
    assert report.ranking == ("membrane", "theta", "weight")


def test_widths_that_are_refused_are_left_out() -> None:
    report = measure_significance(Cliffs(refused=12), cliff_space(), stop_early=False)
    membranes = [curve for curve in report.curves if curve.parameter == "membrane"]
    assert all(12 not in [point.width for point in curve.points] for curve in membranes)
    # A narrower width was found sufficient, but not all widths between.
    assert all(curve.narrowest == 13 for curve in membranes)
    with pytest.raises(ValueError, match=r"^space\b.*too wide"):
        measure_significance(Cliffs(refused=16), cliff_space())


def test_the_same_seed_gives_the_same_report() -> None:
    reports = [measure_significance(Cliffs(), cliff_space(), seed=seed) for seed in (3, 3, 4)]
    assert reports[0] == reports[1]
    assert reports[0].curves != reports[2].curves


def test_intervals_hold_the_accuracy() -> None:
    workload, space = Cliffs(), cliff_space()
    for seed in range(5):
        report = measure_significance(workload, space, seed=seed)
        for curve in report.curves:
            for point in curve.points:
                params = {**space.params(space.uniform(16, curve.scheme, curve.rounding))}
                accuracy = workload.accuracy(space.config({**params, f"bits.{curve.parameter}": point.width}))
                assert point.low <= accuracy <= point.high


def test_evaluations_are_closed() -> None:
    closed = []

    class Closing(FakeWorkload):
        def evaluate(self, config: QuantizationConfig, seed: int) -> Any:
            try:
                yield from super().evaluate(config, seed)
            finally:
                closed.append(config)

    workload = Closing()
    measure_significance(workload, fake_space())
    assert len(closed) == len(workload.evaluated)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tolerance", -0.1),
        ("tolerance", 1),
        ("tolerance", np.nan),
        ("confidence", 1.0),
    ],
)
def test_bad_arguments(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name}\b.*got {value}"):
        measure_significance(FakeWorkload(), fake_space(), **{name: value})


def test_bad_spaces() -> None:
    with pytest.raises(TypeError, match=r"^space\b.*got dict"):
        measure_significance(FakeWorkload(), {"weight": 3})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^space\b.*more than one width"):
        measure_significance(FakeWorkload(), fake_space((4, 4)))


def test_a_report_survives_json() -> None:
    report = measure_significance(Cliffs(), cliff_space())
    assert SignificanceReport.from_dict(report.to_dict()) == report
    with pytest.raises(ValueError, match=r"SignificanceReport\.to_dict"):
        SignificanceReport.from_dict({"curves": [{"parameter": "weight"}]})


def test_between_points_the_loss_halves_with_every_bit() -> None:
    points = (WidthPoint(2, 0.5, 0.4, 0.6), WidthPoint(5, 0.85, 0.8, 0.9), WidthPoint(7, 0.9, 0.8, 1.0))
    curve = WidthCurve("weight", Scheme.PTQ, Rounding.NEAREST, points, 5)
    # From 0.4 to 0.05 in three exact halves; then from 0.05 to 0 in two steps: by two thirds, and the rest.
    by_hand = [0.4, 0.05 + 0.35 * 3 / 7, 0.05 + 0.35 / 7, 0.05, 0.05 / 3]
    assert curve.loss_per_bit == pytest.approx(sum(by_hand) / (5 + 4 + 3 + 2 + 1))


def test_losses_are_against_the_widest_on_the_same_samples() -> None:
    workload = Cliffs({"weight": (2, 0.02), "membrane": (9, 0.1), "theta": (6, 0.0)})
    report = measure_significance(workload, cliff_space(schemes=(Scheme.PTQ,)), seed=1)
    # Theta changes no answer, so its loss is 0, wherever its evaluations stopped.
    curves = [curve for curve in report.curves if curve.parameter == "theta"]
    assert any(
        point.seen != SAMPLES and point.accuracy != curve.points[-1].accuracy
        for curve in curves
        for point in curve.points
    )
    assert all(curve.losses == (0.0,) * len(curve.points) for curve in curves)
    assert all(curve.points[-1].seen == SAMPLES for curve in report.curves)


def test_the_standard_error_is_that_of_repeated_measurements() -> None:
    generator = np.random.default_rng(0)
    accuracies, seen = np.array([0.7, 0.85, 0.9, 0.9]), 500
    found = []
    for _ in range(400):
        correct = generator.binomial(seen, accuracies).tolist()
        points = tuple(WidthPoint(w, c / seen, 0, 1, c, seen) for w, c in zip((1, 2, 4, 8), correct, strict=True))
        found.append(WidthCurve("weight", Scheme.PTQ, Rounding.NEAREST, points, 2))
    spread = np.std([curve.loss_per_bit for curve in found])
    assert np.mean([curve.standard_error for curve in found]) == pytest.approx(spread, rel=0.1)


def test_a_tier_holds_parameters_within_two_standard_errors() -> None:
    def curve(name: str, accuracy: float, seen: int) -> WidthCurve:
        points = tuple(
            WidthPoint(width, value, 0, 1, round(value * seen), seen) for width, value in ((1, accuracy), (2, 0.9))
        )
        return WidthCurve(name, Scheme.PTQ, Rounding.NEAREST, points, 2)

    def tiers(seen: int) -> tuple[tuple[str, ...], ...]:
        curves = (curve("a", 0.89, seen), curve("b", 0.5, seen), curve("c", 0.88, seen))
        return SignificanceReport(curves, 0.9, 0.01, 0.95).tiers

    assert tiers(seen=1_000) == (("b",), ("c", "a"))
    assert tiers(seen=100_000) == (("b",), ("c",), ("a",))
