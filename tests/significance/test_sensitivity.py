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
from qspinn_optuna.significance import Sensitivity, measure_sensitivity, record_sensitivity, recorded_sensitivity
from qspinn_optuna.significance.sensitivity import drift
from tests.fake_workload import FakeWorkload, fake_space
from tests.supervised.toy import toy_batches, toy_workload

SAMPLES, CLASSES = 40, 5

SPACE = QuantizationSpace(FakeWorkload.parameters, {"weight": (1, 8), "membrane": (2, 8)})


class Blurred(FakeWorkload):
    """Scores of the baseline, with noise that falls by half with every bit of the weight, and none of the membrane."""

    def __init__(self, refused: int | None = None, reference: NDArray[np.float64] | None = None) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.reference = rng.normal(size=(SAMPLES, CLASSES)) if reference is None else reference
        self.noise = rng.normal(size=self.reference.shape)
        self.refused = refused
        self.asked: list[QuantizationConfig] = []

    def scores(self, config: QuantizationConfig | None, samples: int) -> NDArray[np.float64]:
        if config is None:
            return self.reference[:samples]
        self.asked.append(config)
        if config.bits["weight"] == self.refused:
            raise InexactError("too wide")
        # Another size of all scores, and another offset of a sample's, change no class.
        return (7 * (self.reference + 4 * 2.0 ** -config.bits["weight"] * self.noise) + 100.0)[:samples]


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
    ("workload", "options", "message"),
    [
        (Blurred(refused=8), {}, "widest widths that the workload accepts: too wide"),
        (Blurred(reference=np.zeros((9, 3))), {}, "the same of all: it is silent"),
        (Blurred(reference=np.full((9, 3), math.nan)), {}, "must be finite"),
        (Blurred(reference=np.zeros(9)), {}, r"\[samples, classes\], got the shape \(9,\)"),
        (Blurred(), {"samples": 1}, "samples must be at least 2, got 1"),
        (Blurred(), {"space": fake_space((4, 4))}, "more than one width"),
    ],
)
def test_what_tells_nothing_is_refused(workload: Blurred, options: dict[str, Any], message: str) -> None:
    space = options.pop("space", SPACE)
    with pytest.raises(ValueError, match=message):
        measure_sensitivity(workload, space, **options)


def test_a_network_whose_scores_no_width_changes_gives_no_sensitivity() -> None:
    workload = Blurred()
    workload.noise[:] = 0
    with pytest.raises(ValueError, match="its narrowest widths are wide enough, or the network is silent"):
        measure_sensitivity(workload, SPACE)


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
    assert set(found.losses) == set(space.widths)
    weights = [curve for name, curve in found.losses.items() if name.endswith("weight")]
    assert max(curve[2] for curve in weights) > 0.02
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
    with pytest.raises(ValueError, match=r"parameters that study 'other space' searches, got 'conv\.weight'"):
        record_sensitivity(study, Sensitivity({"weight": {2: 0.1}, "conv.weight": {2: 0.1}}))
    assert recorded_sensitivity(study) is None


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
