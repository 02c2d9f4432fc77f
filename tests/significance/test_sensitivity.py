from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qspinn_optuna import InexactError, QuantizationConfig, QuantizationSpace, Rounding, Scheme, open_study
from qspinn_optuna.significance import (
    Sensitivity,
    SensitivityError,
    measure_sensitivity,
    record_sensitivity,
    recorded_sensitivity,
)
from qspinn_optuna.significance.sensitivity import drift
from tests.fake_workload import FakeWorkload, fake_space
from tests.supervised.toy import toy_batches, toy_workload

SAMPLES, CLASSES = 40, 5

SPACE = QuantizationSpace(FakeWorkload.parameters, {"weight": (1, 8), "membrane": (2, 8)})


class Blurred(FakeWorkload):
    """Scores of the baseline, with noise that falls by half with every bit of the weight, and none of the membrane."""

    def __init__(
        self,
        refused: int | None = None,
        reference: NDArray[np.float64] | None = None,
        *,
        not_finite: int | None = None,
        worst: float = 1.0,
        noisy: bool = True,
    ) -> None:
        super().__init__()
        self.not_finite, self.sign = not_finite, worst
        rng = np.random.default_rng(0)
        self.reference = rng.normal(size=(SAMPLES, CLASSES)) if reference is None else reference
        self.noise = rng.normal(size=self.reference.shape) * noisy
        self.refused = refused
        self.asked: list[QuantizationConfig] = []

    def scores(self, config: QuantizationConfig | None, samples: int) -> NDArray[np.float64]:
        if config is None:
            return self.reference[:samples]
        self.asked.append(config)
        if config.bits["weight"] == self.refused:
            raise InexactError("too wide")
        if config.bits["weight"] == self.not_finite:
            return np.full_like(self.reference, math.inf)[:samples]
        # Another size of all scores, and another offset of a sample's, change no class.
        return (7 * self.sign * (self.reference + 4 * 2.0 ** -config.bits["weight"] * self.noise) + 100.0)[:samples]


def test_what_is_lost_is_the_correlation_with_the_baseline() -> None:
    workload = Blurred()
    found = measure_sensitivity(workload, SPACE, samples=30)

    def correlation(bits: int) -> float:
        here, there = workload.reference[:30], workload.reference[:30] + 4 * 2.0**-bits * workload.noise[:30]
        here, there = (one - one.mean(axis=1, keepdims=True) for one in (here, there))
        return float(np.corrcoef(here.ravel(), there.ravel())[0, 1])

    expected = {bits: 1 - correlation(bits) / correlation(8) for bits in range(1, 8)}
    measured = dict(found.losses["weight"])
    # Up to the first width that loses nothing.
    assert list(measured) == list(range(1, len(measured) + 1))
    assert len(measured) < 8
    assert measured == pytest.approx({bits: expected[bits] for bits in measured}, abs=1e-6)
    assert min(expected[bits] for bits in list(measured)[:-1]) > 0.005 >= measured[len(measured)]
    # A parameter that loses nothing at its narrowest width is asked once.
    assert dict(found.losses["membrane"]) == pytest.approx({2: 0.0}, abs=1e-9)
    assert found.networks == len(workload.asked) == len(measured) + 2
    assert found.samples == 30 * found.networks
    assert workload.evaluated == []


def test_networks_are_quantized_after_training_and_to_nearest_whatever_the_space_offers() -> None:
    workload = Blurred()
    space = QuantizationSpace(
        workload.parameters, (2, 4), schemes=(Scheme.ITQ,), roundings=(Rounding.TRUNCATION, Rounding.STOCHASTIC)
    )
    measure_sensitivity(workload, space)
    assert {config.scheme for config in workload.asked} == {Scheme.PTQ}
    assert {one for config in workload.asked for one in config.roundings.values()} == {Rounding.NEAREST}


def test_a_width_that_is_refused_is_left_out() -> None:
    found = measure_sensitivity(Blurred(refused=1), SPACE)
    assert min(found.losses["weight"]) == 2


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        (Blurred(refused=8), "refuses the widest widths of the space: too wide"),
        (Blurred(reference=np.zeros((9, 3))), "the same for all classes: it is silent"),
        (Blurred(reference=np.full((9, 3), math.nan)), "not finite"),
        (Blurred(worst=-1.0), r"lose 100% of the correlation with the float network already: give it wider bits"),
        (Blurred(noisy=False), "No width changes what the network puts out"),
    ],
)
def test_a_network_that_tells_nothing_has_no_sensitivity(workload: Blurred, message: str) -> None:
    with pytest.raises(SensitivityError, match=message):
        measure_sensitivity(workload, SPACE)


def test_where_all_narrow_widths_are_refused_there_is_none() -> None:
    space = QuantizationSpace(FakeWorkload.parameters, {"weight": (7, 8), "membrane": (4, 4)})
    with pytest.raises(SensitivityError, match="refuses every configuration with a narrower width"):
        measure_sensitivity(Blurred(refused=7), space)


def test_scores_that_are_not_finite_are_lost() -> None:
    found = measure_sensitivity(Blurred(not_finite=1), SPACE)
    assert found.losses["weight"][1] == 1
    assert 0 < found.losses["weight"][2] < 1


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [(1, ValueError, "at least 2, got 1"), (2.5, TypeError, "got 2.5"), ("64", TypeError, "got '64'")],
)
def test_samples_are_a_number_of_them(samples: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        measure_sensitivity(Blurred(), SPACE, samples=samples)


def test_scores_of_another_shape_and_spaces_of_one_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[samples, classes\], got the shape \(9,\)"):
        measure_sensitivity(Blurred(reference=np.zeros(9)), SPACE)
    with pytest.raises(SensitivityError, match="more than one width"):
        measure_sensitivity(Blurred(), fake_space((4, 4)))


def test_scores_may_be_lists() -> None:
    listed = Blurred()
    scores = listed.scores
    listed.scores = lambda config, samples: scores(config, samples).tolist()  # type: ignore[method-assign]
    assert measure_sensitivity(listed, SPACE) == measure_sensitivity(Blurred(), SPACE)


def test_a_workload_without_scores_and_what_is_no_space_are_refused() -> None:
    with pytest.raises(TypeError, match="got a FakeWorkload, which lacks scores"):
        measure_sensitivity(FakeWorkload(), fake_space())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="got dict"):
        measure_sensitivity(Blurred(), {})  # type: ignore[arg-type]


@given(st.integers(1, 6), st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_drift_is_a_share_that_sizes_and_offsets_do_not_change(classes: int, size: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, reference = rng.normal(size=(2, 12, classes))
    offsets = rng.normal(size=(12, 1)) if classes > 1 else 3.0
    assert 0 <= drift(scores, reference) <= 1
    assert drift(size * scores + offsets, reference) == pytest.approx(drift(scores, reference), abs=1e-6)
    assert drift(size * reference + offsets, reference) == pytest.approx(0, abs=1e-6)
    assert drift(np.zeros_like(scores), reference) == 1


def test_a_trained_network_is_measured_without_labels_or_a_further_training() -> None:
    workload = toy_workload(calibration=[inputs for inputs, _ in toy_batches(0)])
    assert workload.baseline > 0.8
    space = QuantizationSpace(workload.parameters, (2, 8))
    found = measure_sensitivity(workload, space, samples=16)
    assert found.samples == 16 * found.networks
    assert set(found.losses) == set(space.widths)
    weights = [curve for name, curve in found.losses.items() if name.endswith("weight")]
    assert max(curve[2] for curve in weights) > 0.01
    assert all(0 <= loss <= 1 for curve in found.losses.values() for loss in curve.values())


def test_a_study_keeps_it() -> None:
    workload, space = Blurred(), SPACE
    study = open_study("sensitivity", None, space, workload=workload)
    assert recorded_sensitivity(study) is None
    found = measure_sensitivity(workload, space)
    record_sensitivity(study, found)
    assert recorded_sensitivity(study) == found
    assert pickle.loads(pickle.dumps(found)) == found


def test_one_of_another_space_is_refused() -> None:
    study = open_study("other space", None, fake_space(), workload=FakeWorkload())
    with pytest.raises(ValueError, match=r"searches, which are 'weight', 'membrane', got 'conv\.weight'\."):
        record_sensitivity(study, Sensitivity({"weight": {2: 0.1}, "conv.weight": {2: 0.1}}))
    with pytest.raises(ValueError, match=r"of 'weight' must be at some of the widths .* 2 to 8 bits, got 1, 20"):
        record_sensitivity(study, Sensitivity({"weight": {1: 0.1, 20: 0.0}}))
    with pytest.raises(TypeError, match="must be a Sensitivity, got dict"):
        record_sensitivity(study, {"weight": {2: 0.1}})  # type: ignore[arg-type]
    assert recorded_sensitivity(study) is None


def test_counts_are_no_less_than_none() -> None:
    with pytest.raises(ValueError, match="networks must be a number of them, got -3"):
        Sensitivity({"weight": {2: 0.1}}, networks=-3)
    counted: Any = {np.int64(2): 0.1}
    assert Sensitivity({"weight": counted}) == Sensitivity({"weight": {2: 0.1}})
    assert hash(Sensitivity({"weight": counted})) == hash(Sensitivity({"weight": {2: 0.1}}))


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"weight": {2: math.nan}}, "shares from 0 to 1, got nan for weight at 2 bits"),
        ({"weight": {2: -0.1}}, "got -0.1 for weight at 2 bits"),
        ({"weight": {2: 1.5}}, "got 1.5 for weight at 2 bits"),
        ({"weight": {2: "much"}}, "got 'much' for weight"),
        ({"weight": {2.5: 0.1}}, "widths in bits, got 2.5 for weight"),
        ({"weight": {0: 0.1}}, "widths in bits, got 0 for weight"),
        ({"weight": {}}, "one width or more, got none for weight"),
        ({"weight": 0.1}, "losses of weight must be by width, such as {2: 0.1}, got 0.1"),
        ({}, "at least one parameter, got {}"),
        ([0.1], "at least one parameter"),
    ],
)
def test_losses_that_are_none_are_refused(losses: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sensitivity(losses)


def test_a_stored_value_that_is_none_is_refused() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.set_user_attr("qspinn:sensitivity", {"losses": 3})
    with pytest.raises(ValueError, match=r"what Sensitivity\.to_dict wrote"):
        recorded_sensitivity(study)
