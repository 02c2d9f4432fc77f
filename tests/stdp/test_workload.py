"""The workload as a study uses it, on images of three noisy patterns."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qspinn_optuna import (
    Deployment,
    Family,
    Footprint,
    InexactError,
    Memory,
    ParameterQuantization,
    QFormat,
    QuantizationConfig,
    QuantizationSpace,
    Rounding,
    Scheme,
    TrainingProgress,
    Workload,
)
from qspinn_optuna.datasets import ImageSplits, LabeledImages, embedded_mnist
from qspinn_optuna.integer import WeightedResponse
from qspinn_optuna.workloads import Answers, Fresh
from qspinn_optuna.workloads.stdp import ReadoutKind, STDPNetwork, STDPSettings, STDPWorkload, measurement, memory
from qspinn_optuna.workloads.stdp.network import train, train_in_parts
from tests.counts import counts_of
from tests.integer.models import layer_of

CLASSES, SIDE = 3, 6
TRAIN, VALIDATION, TEST = 60, 30, 30
SMALL = STDPSettings(
    neurons=9,
    steps=25,
    input_rate=0.5,
    threshold=6.0,
    inhibition=20.0,
    theta_step=0.5,
    trace_tau=5.0,
    learning_rate=0.1,
    final_learning_rate=0.02,
    weight_sum=0.25,
    label_images=40,
    adaptation_images=10,
    voltage_range=64.0,
)


def patterns(seed: int, count: int) -> LabeledImages:
    """Bars at three heights, with noise around them; the first column is black."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(count) % CLASSES).astype(np.uint8)
    images = generator.integers(0, 60, (count, SIDE, SIDE))
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 150
    images[:, :, 0] = 0
    return LabeledImages(images.reshape(count, -1).astype(np.uint8), labels)


DATA = ImageSplits(patterns(0, TRAIN), patterns(1, VALIDATION), patterns(2, TEST))


def workload(settings: STDPSettings = SMALL, data: ImageSplits = DATA, **arguments: Any) -> STDPWorkload:
    return STDPWorkload(data, settings, **{"threads": 1, **arguments})


def uniform(of: STDPWorkload, bits: int, scheme: Scheme, rounding: Rounding = Rounding.NEAREST) -> QuantizationConfig:
    space = QuantizationSpace(of.parameters, bits=(1, 24) if bits == 1 else (2, 24), deployment=of.deployment)
    return space.uniform(bits, scheme, rounding)


def mixed(of: STDPWorkload, scheme: Scheme, rounding: Rounding) -> QuantizationConfig:
    """Narrow weights, wide enough neurons."""
    space = QuantizationSpace(of.parameters, {"weight": 3} | dict.fromkeys(
        ("scale", "membrane", "threshold", "decay", "trace", "readout"), 10
    ), deployment=of.deployment)  # fmt: skip
    return space.uniform(10, scheme, rounding)


SCHEMES_AND_ROUNDINGS = [(scheme, rounding) for scheme in Scheme for rounding in Rounding]


@pytest.mark.parametrize(
    ("settings", "arguments", "message"),
    [
        (replace(SMALL, neurons=50_000_000), {}, r"neurons must be at most [\d,]+ for 36 inputs.*GiB"),
        (replace(SMALL, label_images=2), {}, "label_images must be at least 3"),
        (replace(SMALL, inference_inhibition=5.0), {"deployment": Deployment.LEARNING}, "inference_inhibition"),
    ],
)
def test_what_cannot_work_is_refused_before_training(
    settings: STDPSettings, arguments: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "installed_memory", lambda: 16 * 2**30)
    with pytest.raises(ValueError, match=message) as told:
        workload(settings, **arguments)
    assert "\n" not in str(told.value)


def test_a_system_that_does_not_tell_its_memory_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "installed_memory", lambda: None)
    memory.check_memory(10**9, 784)


@pytest.mark.parametrize("name", ["neurons", "epochs", "label_images"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True])
def test_numbers_of_neurons_passes_and_label_images_are_whole_and_positive(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=name):
        STDPSettings(**{name: value})


@pytest.mark.parametrize("neurons", [100, 200, 400, 600, 900, 1_600, 2_500, 6_400])
def test_settings_of_a_size_keep_the_equilibrium_of_the_thresholds(neurons: int) -> None:
    of = STDPSettings.for_neurons(neurons)
    # Three spikes an image, each of which raises a threshold, balance the decay of all at this theta.
    theta = 3 * of.theta_step / (neurons * of.steps / of.theta_tau)
    assert 250 <= theta <= 550
    assert of.inhibition >= theta
    assert of.voltage_range >= 1.5 * theta
    assert of.neurons == neurons


def test_an_inhibition_of_its_own_adapts_the_thresholds_of_the_float_network_too() -> None:
    soft = workload(replace(SMALL, inference_inhibition=4.0)).network
    hard = workload().network
    assert (soft.neuron.inhibition, hard.neuron.inhibition) == (4.0, 20.0)
    np.testing.assert_array_equal(soft.weights, hard.weights)
    assert (soft.theta != hard.theta).any()


@pytest.mark.parametrize("scheme", Scheme)
def test_quantized_networks_classify_with_the_inhibition_of_inference(scheme: Scheme) -> None:
    of = workload(replace(SMALL, inference_inhibition=4.0))
    config = mixed(of, scheme, Rounding.NEAREST)
    layer = layer_of(of.integer_model(config))
    assert layer.inhibition * layer.membrane.format.resolution == 4.0


def test_class_weights_are_searched_counted_and_read_out() -> None:
    of = workload(replace(SMALL, readout=ReadoutKind.CLASS_WEIGHTS))
    (spec,) = [spec for spec in of.parameters if spec.family is Family.READOUT]
    assert (spec.name, spec.count, spec.baseline_count) == ("class_weight", 9 * CLASSES, 9)
    config = mixed(of, Scheme.PTQ, Rounding.NEAREST)
    readout = of.integer_model(config).readout
    assert isinstance(readout, WeightedResponse)
    assert readout.weights.format == config["class_weight"].format
    assert readout.constant_bits == 9 * CLASSES * 10
    assert of.baseline >= 0.8
    assert counts_of(of.evaluate(config, seed=1))[-1][0] >= 0.8 * VALIDATION


def test_it_is_a_workload() -> None:
    protocol: Workload = workload()  # mypy checks the protocol
    assert protocol.parameters


def test_the_patterns_are_learned() -> None:
    assert workload().baseline >= 0.8
    assert workload().test_baseline >= 0.8


def test_evaluation_counts_up_to_the_validation_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "BATCH", 7)
    of = workload()
    counts = counts_of(of.evaluate(uniform(of, 12, Scheme.PTQ), seed=3))
    assert [seen for _, seen in counts] == [1, 3, 7, 14, 21, 28, 30]
    correct = [correct for correct, _ in counts]
    assert all(0 <= after - before <= 7 for before, after in zip([0, *correct], correct, strict=False))
    assert correct[-1] >= 0.8 * VALIDATION


@pytest.mark.parametrize(("scheme", "rounding"), SCHEMES_AND_ROUNDINGS)
def test_the_same_seed_gives_the_same_result(scheme: Scheme, rounding: Rounding) -> None:
    of = workload()
    config = mixed(of, scheme, rounding)
    first = counts_of(of.evaluate(config, seed=5))
    assert counts_of(of.evaluate(config, seed=6))[-1][1] == VALIDATION
    assert counts_of(of.evaluate(config, seed=5)) == first
    assert counts_of(workload().evaluate(config, seed=5)) == first


@pytest.mark.parametrize(("scheme", "rounding"), SCHEMES_AND_ROUNDINGS)
def test_the_seed_changes_what_is_random(scheme: Scheme, rounding: Rounding) -> None:
    of = workload()
    config = mixed(of, scheme, rounding)
    one, other = (layer_of(of.integer_model(config, seed)) for seed in (5, 6))
    assert one.theta != other.theta
    weights_are_random = scheme is Scheme.ITQ or rounding is Rounding.STOCHASTIC
    assert (one.weight != other.weight) == weights_are_random


def test_threads_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = workload()
    config = mixed(one, Scheme.PTQ, Rounding.STOCHASTIC)
    expected = counts_of(one.evaluate(config, seed=5))
    monkeypatch.setattr(measurement, "BATCH", 4)
    two = workload(threads=2)
    assert counts_of(two.evaluate(config, seed=5))[-1] == expected[-1]
    assert (two.baseline, two.test(config, 5)) == (one.baseline, one.test(config, 5))


def test_an_evaluation_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "BATCH", 5)
    of = workload(threads=2)
    config = mixed(of, Scheme.PTQ, Rounding.NEAREST)
    whole = counts_of(of.evaluate(config, seed=1))
    stopped = of.evaluate(config, seed=1)
    assert next(stopped) == whole[0]
    stopped.close()  # type: ignore[attr-defined]
    assert counts_of(of.evaluate(config, seed=1)) == whole


def test_the_test_set_is_touched_by_the_test_and_its_digest_alone() -> None:
    inverted = LabeledImages((255 - DATA.test.images).astype(np.uint8), DATA.test.labels)
    one, other = workload(), workload(data=replace(DATA, test=inverted))
    config = mixed(one, Scheme.PTQ, Rounding.NEAREST)
    assert other.parameters == one.parameters
    assert {name for name, value in one.describe().items() if other.describe()[name] != value} == {"test"}
    assert other.baseline == one.baseline
    assert counts_of(other.evaluate(config, 1)) == counts_of(one.evaluate(config, 1))
    assert other.test(config, 1) != one.test(config, 1)
    assert other.test_baseline != one.test_baseline


@pytest.mark.parametrize("part", ["images", "labels"])
def test_the_validation_set_decides_the_accuracy(part: str) -> None:
    changed = {"images": DATA.validation.images, "labels": DATA.validation.labels}
    changed[part] = changed[part][::-1].copy()
    one, other = workload(), workload(data=replace(DATA, validation=LabeledImages(**changed)))
    config = mixed(one, Scheme.PTQ, Rounding.NEAREST)
    assert other.baseline != one.baseline
    assert counts_of(other.evaluate(config, 1)) != counts_of(one.evaluate(config, 1))
    assert other.test(config, 1) == one.test(config, 1)


def test_quantization_leaves_the_float_network_as_it_is() -> None:
    of = workload()
    network = of.network
    before = [values.copy() for values in (network.weights, network.scale, network.theta)]
    for scheme, rounding in SCHEMES_AND_ROUNDINGS:
        of.simulate(mixed(of, scheme, rounding), seed=2)
    assert of.network is network
    for values, expected in zip((network.weights, network.scale, network.theta), before, strict=True):
        np.testing.assert_array_equal(values, expected)


def test_the_baseline_is_adapted_as_quantized_networks_are() -> None:
    of = workload(replace(SMALL, adaptation_images=TRAIN))
    config = uniform(of, 16, Scheme.PTQ)
    quantized = of.simulate(config, seed=of.seed)

    def distance(network: STDPNetwork) -> float:
        return float(np.abs(network.theta - quantized.theta).sum())

    # The kept inputs are all that ever spike: at 16 bits the same spikes meet almost the same weights.
    assert 5 * distance(of.baseline_network) < distance(of.network)
    assert of.baseline_network.weights is of.network.weights
    assert of.baseline_treatment == "its thresholds adapted on the same 60 images as those of quantized networks"
    left = workload(replace(SMALL, adaptation_images=0))
    assert left.baseline_network is left.network
    assert left.baseline_treatment == ""


def test_answers_are_counted_and_the_baseline_has_them_too() -> None:
    of = workload()
    assert of.baseline == of.baseline_answers.right.mean()
    *_, answers = of.evaluate(uniform(of, 8, Scheme.PTQ), seed=1)
    assert isinstance(answers, Answers)
    assert answers == (answers.right.sum(), VALIDATION)


def test_a_confirmation_takes_left_out_images_or_else_other_input_spikes() -> None:
    of = workload()
    config = uniform(of, 3, Scheme.PTQ, Rounding.STOCHASTIC)
    *_, first = of.evaluate(config, seed=1)
    *_, second = of.evaluate_fresh(config, seed=1)
    assert isinstance(first, Answers)
    assert of.fresh is Fresh.DRAWS
    assert len(second.right) == len(of.fresh_baseline.right) == VALIDATION
    assert second.right.tolist() != first.right.tolist()
    whole = of.data
    kept = len(whole.train) - 30
    left_out = workload(data=whole.with_train_size(kept))
    assert left_out.fresh is Fresh.SAMPLES
    *_, counts = left_out.evaluate_fresh(config, seed=1)
    assert counts[1] == left_out.fresh_baseline[1] == 30
    # The same images as validation set, with the same numbers, give the same answers.
    assert left_out.data.reserve is not None
    assert left_out.data.reserve.images.tolist() == whole.train.images[kept:].tolist()
    assert left_out.data.fingerprint == ImageSplits(whole.train[:kept], whole.validation, whole.test).fingerprint


def test_post_training_quantization_at_16_bits_is_close_to_the_baseline() -> None:
    splits = embedded_mnist()
    digits = ImageSplits(splits.train[:600], splits.validation[:500], splits.test[:10])
    settings = STDPSettings(neurons=40, theta_step=2.0, label_images=600, adaptation_images=0)
    of = STDPWorkload(digits, settings, threads=2)
    space = QuantizationSpace(of.parameters, {"weight": 14, "scale": 14, "membrane": 16, "threshold": 16, "decay": 16})
    config = space.uniform(16, Scheme.PTQ, Rounding.NEAREST)
    correct, seen = counts_of(of.evaluate(config, seed=of.seed))[-1]
    assert of.baseline >= 0.5
    assert abs(correct / seen - of.baseline) <= 0.01


def test_a_configuration_that_floats_cannot_carry_is_refused() -> None:
    of = workload()
    for scheme in Scheme:
        widest = uniform(of, 24, scheme)
        assert sum(1 for _ in of.evaluate(widest, seed=0)) > 0
        too_wide = {"weight": ParameterQuantization(QFormat(0, 24, signed=False), Rounding.NEAREST)}
        with pytest.raises(InexactError, match="give weight at most"):
            of.integer_model(QuantizationConfig(scheme, {**widest.parameters, **too_wide}), seed=0)


def test_thresholds_beyond_the_formats_give_a_warning_with_what_would_do() -> None:
    of = workload(replace(SMALL, voltage_range=8.0))
    with pytest.warns(UserWarning, match=r"Thresholds reach \d+.*voltage_range=8.*Give STDPSettings voltage_range="):
        assert of.network.theta.max() + SMALL.threshold > 8.0


def test_a_neuron_that_only_knew_dropped_inputs_keeps_silent() -> None:
    of = workload(replace(SMALL, minimum_input_spikes=0.5))
    of.network.weights[of.kept_inputs, 0] = 0.0
    of.network.weights[[i for i in range(SIDE * SIDE) if i not in of.kept_inputs], 0] = 1.0
    assert sum(1 for _ in of.evaluate(uniform(of, 8, Scheme.PTQ), seed=0)) > 0
    assert not layer_of(of.integer_model(uniform(of, 8, Scheme.PTQ))).weight.array[:, 0].any()


def test_a_device_that_learns_is_not_quantized_after_training() -> None:
    of = workload(deployment=Deployment.LEARNING)
    with pytest.raises(ValueError, match=r"schemes=\(Scheme.ITQ,\)"):
        next(of.evaluate(mixed(of, Scheme.PTQ, Rounding.NEAREST), seed=0))
    counts = counts_of(of.evaluate(mixed(of, Scheme.ITQ, Rounding.STOCHASTIC), seed=0))
    assert counts[-1][1] == VALIDATION


LEARNING_ONLY = {"trace", "trace_decay", "theta_decay"}


@pytest.mark.parametrize("shadow", [False, True])
@pytest.mark.parametrize("deployment", Deployment)
def test_parameters_are_what_the_device_stores(shadow: bool, deployment: Deployment) -> None:
    of = workload(replace(SMALL, shadow=shadow), deployment=deployment)
    stored = QuantizationSpace(of.parameters, deployment=deployment).parameters
    names = {spec.name for spec in stored}
    learning = deployment is Deployment.LEARNING
    assert {"weight", "membrane", "theta", "membrane_decay", "refractory", "label"} <= names
    assert (names >= LEARNING_ONLY) == learning
    assert names.isdisjoint(LEARNING_ONLY) != learning
    assert ("shadow" in names) == (learning and shadow)
    # Narrow weights that learn make up for nothing: their scale would be 1.
    assert ("scale" in names) == (shadow or not learning)


@pytest.mark.parametrize("minimum_input_spikes", [0.0, 0.5])
def test_flash_and_ram_are_those_of_the_integers(minimum_input_spikes: float) -> None:
    of = workload(replace(SMALL, minimum_input_spikes=minimum_input_spikes))
    config = mixed(of, Scheme.PTQ, Rounding.NEAREST)
    footprint = Footprint.of(of.parameters, config.bits)
    model = of.integer_model(config)
    assert (footprint.flash_bits, footprint.ram_bits) == (model.constant_bits, model.state_bits)
    assert footprint.ram_bits > 0


def test_a_device_that_learns_keeps_what_it_changes_in_ram() -> None:
    settings = replace(SMALL, minimum_input_spikes=0.5)
    stored = {spec.name: spec for spec in workload(settings, deployment=Deployment.LEARNING).parameters}
    constant = {name for name, spec in stored.items() if spec.memory_for(Deployment.LEARNING) is Memory.FLASH}
    assert constant == {"membrane_decay", "trace_decay", "theta_decay", "input_mask"}
    assert {"weight", "theta", "membrane", "refractory", "trace", "label"} <= stored.keys() - constant


def test_parameters_have_the_sizes_of_the_network() -> None:
    of = workload(deployment=Deployment.LEARNING)
    kept, inputs, neurons = SIDE * (SIDE - 1), SIDE * SIDE, SMALL.neurons
    counts = {spec.name: (spec.count, spec.baseline_count) for spec in of.parameters}
    assert counts == {
        "weight": (kept * neurons, inputs * neurons),
        "scale": (neurons, 0),
        "membrane": (neurons, None),
        "theta": (neurons, None),
        "membrane_decay": (1, None),
        "refractory": (SMALL.refractory_steps, None),
        "label": (neurons, None),
        "input_mask": (inputs, 0),
        "trace": (kept, inputs),
        "trace_decay": (1, None),
        "theta_decay": (1, None),
        "shadow": (kept * neurons, 0),
    }
    fixed = {spec.name: spec.fixed_bits for spec in of.parameters if spec.fixed_bits is not None}
    assert fixed == {"refractory": 4, "label": 2, "input_mask": 1, "shadow": 32}


def kept_by_hand(data: ImageSplits, settings: STDPSettings) -> NDArray[np.intp]:
    """Inputs whose expected number of spikes an image, over the training set, is neither 0 nor under the limit."""
    kept = []
    for i in range(data.train.images.shape[1]):
        pixels = data.train.images[:, i].astype(float)
        spikes = sum(settings.input_rate * pixel / 255 for pixel in pixels) * settings.steps / len(pixels)
        if spikes > 0 and spikes >= settings.minimum_input_spikes:
            kept.append(i)
    return np.array(kept)


@pytest.mark.parametrize("minimum", [0.0, 2.0])
def test_inputs_that_rarely_spike_are_dropped(minimum: float) -> None:
    faint = DATA.train.images.copy()
    faint[:, ::SIDE] = 0
    faint[:, 1::SIDE] //= 4
    data = replace(DATA, train=LabeledImages(faint, DATA.train.labels))
    of = workload(replace(SMALL, minimum_input_spikes=minimum), data)
    kept = kept_by_hand(data, of.settings)
    assert len(kept) == SIDE * (SIDE - 2 if minimum else SIDE - 1)
    for scheme in Scheme:
        network = of.simulate(mixed(of, scheme, Rounding.NEAREST), seed=0)
        assert network.weights.shape == (len(kept), SMALL.neurons)
        # What is left makes up for what is dropped.
        sums = network.scale * network.weights.sum(axis=0)
        np.testing.assert_allclose(sums, SMALL.weight_sum * SIDE * SIDE, rtol=0.01)
    assert of.network.weights.shape == (SIDE * SIDE, SMALL.neurons)
    counts = counts_of(of.evaluate(mixed(of, Scheme.PTQ, Rounding.NEAREST), seed=0))
    assert counts[-1][0] >= 0.8 * VALIDATION


def test_inputs_that_are_not_dropped_need_no_mask() -> None:
    bright = replace(DATA, train=LabeledImages(np.maximum(DATA.train.images, 1), DATA.train.labels))
    assert "input_mask" not in {spec.name for spec in workload(data=bright).parameters}
    assert "input_mask" in {spec.name for spec in workload().parameters}


def test_a_minimum_that_drops_every_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"minimum_input_spikes.*1000.*most active input has"):
        workload(replace(SMALL, minimum_input_spikes=1000.0))


def test_no_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        workload(threads=0)


def test_the_description_is_json_and_tells_workloads_apart() -> None:
    others = [
        workload(),
        workload(replace(SMALL, inhibition=21.0)),
        workload(replace(SMALL, shadow=False)),
        workload(seed=1),
        workload(deployment=Deployment.LEARNING),
        workload(data=DATA.with_train_size(TRAIN - 1)),
        workload(data=replace(DATA, validation=DATA.validation[:-1])),
        workload(data=replace(DATA, test=DATA.test[:-1])),
    ]
    texts = [json.dumps(of.describe(), sort_keys=True, allow_nan=False) for of in others]
    assert len(set(texts)) == len(others)
    assert json.loads(texts[0]) == workload(threads=2).describe()


def test_one_neuron_is_a_network() -> None:
    """The smallest network that the settings accept."""
    of = workload(replace(SMALL, neurons=1))
    counts = counts_of(of.evaluate(mixed(of, Scheme.PTQ, Rounding.NEAREST), seed=0))
    assert counts[-1][1] == VALIDATION


@pytest.mark.parametrize("deployment", Deployment)
def test_rungs_change_no_result(deployment: Deployment) -> None:
    plain = workload(replace(SMALL, epochs=2), deployment=deployment)
    looked = workload(replace(SMALL, epochs=2), deployment=deployment, rungs=(0.21, 0.5, 0.7))
    config = mixed(plain, Scheme.ITQ, Rounding.STOCHASTIC)
    expected = list(plain.evaluate(config, seed=4))
    *progress, last = looked.evaluate(config, seed=4)
    assert [look.fraction for look in progress if isinstance(look, TrainingProgress)] == [0.21, 0.5, 0.7]
    assert [last] == expected
    assert looked.describe() == plain.describe()


@pytest.mark.parametrize("shadow", [False, True])
def test_a_training_in_parts_is_the_same_to_the_last_bit(shadow: bool) -> None:
    settings = replace(SMALL, epochs=2, shadow=shadow)
    whole = train(DATA.train.images, settings, seed=3)
    *shown, parts = train_in_parts(DATA.train.images, settings, seed=3, rungs=(0.1, 0.33, 0.5, 0.9))
    for name in ("weights", "scale", "theta"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert len(shown) == 4
    assert len({network.weights.tobytes() for network in [*shown, parts]}) == 5


def test_post_training_quantization_is_not_looked_at() -> None:
    of = workload(rungs=(0.5,))
    assert len(counts_of(of.evaluate(mixed(of, Scheme.PTQ, Rounding.NEAREST), seed=0))) == 1


@pytest.mark.parametrize("rungs", [(0.0,), (1.0,), (0.5, 0.5), (0.5, 0.2), (float("nan"),)])
def test_rungs_that_do_not_rise_between_0_and_1_are_refused(rungs: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="rungs must be fractions of the training that rise"):
        workload(rungs=rungs)
