"""The model that leaves the workload: it is the one that was measured, to the last spike."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from qspinn_optuna import (
    Deployment,
    QuantizationConfig,
    QuantizationObjective,
    QuantizationSpace,
    Rounding,
    Scheme,
)
from qspinn_optuna.integer import IntegerModel, classify
from qspinn_optuna.integer.winner_take_all_runtime import respond
from qspinn_optuna.workloads.stdp import ReadoutKind, STDPSettings, STDPWorkload, encode_images
from qspinn_optuna.workloads.stdp import workload as workload_module
from qspinn_optuna.workloads.stdp.measurement import Measurement
from qspinn_optuna.workloads.stdp.recent import LabeledLayer, RecentNetworks
from qspinn_optuna.workloads.stdp.responses import record_spikes
from tests.counts import counts_of
from tests.integer.models import layer_of, readout_of
from tests.stdp.test_readout import plain_labels
from tests.stdp.test_workload import CLASSES, DATA, SMALL, TEST, mixed, workload

LABELS, TEST_SAMPLES = 1_000_000_000, 4_000_000_000
NETWORKS = {
    "black inputs dropped": SMALL,
    "rare inputs dropped": replace(SMALL, minimum_input_spikes=2.0),
    "no scale": replace(SMALL, scale_per_neuron=False),
    "no refractory steps": replace(SMALL, refractory_steps=0),
    "no shadow": replace(SMALL, shadow=False),
    "class weights": replace(SMALL, readout=ReadoutKind.CLASS_WEIGHTS),
    "inhibition of its own": replace(SMALL, inference_inhibition=7.0, adaptation_theta_step=0.2),
}


def accuracy(model: IntegerModel) -> float:
    return float((classify(model, DATA.test.images) == DATA.test.labels).mean())


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("settings", NETWORKS.values(), ids=NETWORKS.keys())
def test_it_classifies_the_test_set_as_the_workload_does(
    settings: STDPSettings, scheme: Scheme, rounding: Rounding, tmp_path: Path
) -> None:
    of = workload(settings)
    config = mixed(of, scheme, rounding)
    expected = of.test(config, seed=3)
    model = of.integer_model(config, seed=3)
    model.save(tmp_path / "model")
    assert accuracy(IntegerModel.load(tmp_path / "model")) == expected
    # An evaluation of its own, in another workload, gives the same network.
    assert workload(settings).integer_model(config, seed=3) == model
    trains = encode_images(DATA.test.images[:, of.kept_inputs], SMALL.steps, SMALL.input_rate, 3, TEST_SAMPLES)
    winners = record_spikes(layer_of(model), trains, 3)
    np.testing.assert_array_equal(respond(model, DATA.test.images).winners, winners)
    assert (winners >= 0).sum() > TEST


def test_it_classifies_in_another_process(tmp_path: Path) -> None:
    of = workload(replace(SMALL, minimum_input_spikes=2.0))
    model = of.integer_model(mixed(of, Scheme.ITQ, Rounding.STOCHASTIC), seed=5)
    model.save(tmp_path / "model")
    np.save(tmp_path / "images.npy", DATA.test.images)
    code = (
        "import numpy as np\n"
        "from qspinn_optuna.integer import IntegerModel, classify\n"
        "print(*classify(IntegerModel.load('model'), np.load('images.npy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    answers = [int(word) for word in done.stdout.split()]
    assert answers == classify(model, DATA.test.images).tolist()
    correct = sum(answer == label for answer, label in zip(answers, DATA.test.labels.tolist(), strict=True))
    assert correct / TEST == of.test(mixed(of, Scheme.ITQ, Rounding.STOCHASTIC), seed=5)


def test_neurons_have_the_class_to_which_they_respond_most() -> None:
    of = workload()
    model = of.integer_model(mixed(of, Scheme.PTQ, Rounding.NEAREST))
    split = DATA.train[-SMALL.label_images :]
    counts = respond(model, split.images, LABELS).counts
    assert readout_of(model).labels.tolist() == plain_labels(counts, split.labels, CLASSES)
    assert len(set(readout_of(model).labels.tolist())) == CLASSES


@pytest.mark.parametrize("settings", NETWORKS.values(), ids=NETWORKS.keys())
def test_its_memory_is_what_the_search_counts(settings: STDPSettings) -> None:
    of = workload(settings)
    config = mixed(of, Scheme.PTQ, Rounding.NEAREST)
    model = of.integer_model(config)
    assert model.constant_bits + model.state_bits == QuantizationSpace(of.parameters).footprint(config).bits


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("rungs", [(), (0.5,)])
def test_a_network_that_was_evaluated_is_not_made_again(
    scheme: Scheme, rungs: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    of = workload(rungs=rungs)
    config = mixed(of, scheme, Rounding.STOCHASTIC)
    list(of.evaluate(config, seed=1))
    expected = workload().test(config, seed=1)
    for name in ("quantize_trained", "train_quantized"):
        monkeypatch.setattr(workload_module, name, None)
    assert of.test(config, seed=1) == expected
    assert accuracy(of.integer_model(config, seed=1)) == expected
    with pytest.raises(TypeError):
        of.test(config, seed=2)


def test_the_float_network_is_labeled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = workload().test_baseline
    of = workload()
    assert of.baseline > 0
    monkeypatch.setattr(Measurement, "class_responses", None)
    assert of.test_baseline == expected


def test_only_the_networks_used_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    of = workload()
    config = mixed(of, Scheme.PTQ, Rounding.NEAREST)
    model = of.integer_model(config)
    network = LabeledLayer(layer_of(model), readout_of(model))
    monkeypatch.setattr("qspinn_optuna.workloads.stdp.recent._MOST_BYTES", 2 * network.layer.weight.array.nbytes)
    recent = RecentNetworks()
    for seed in (0, 1):
        recent.add(config, seed, network)
    assert recent.get(config, 0) is network
    recent.add(config, 2, network)
    assert [recent.get(config, seed) for seed in (0, 1, 2)] == [network, None, network]


def test_spikes_are_drawn_once_for_all_trials_of_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    of = workload()
    configs = [mixed(of, Scheme.PTQ, rounding) for rounding in Rounding]
    expected = [counts_of(workload().evaluate(config, seed=1)) for config in configs]
    assert counts_of(of.evaluate(configs[0], seed=1)) == expected[0]
    monkeypatch.setattr("qspinn_optuna.workloads.stdp.measurement.encode_images", None)
    assert [counts_of(of.evaluate(config, seed=1)) for config in configs] == expected
    with pytest.raises(TypeError):
        list(of.evaluate(configs[0], seed=2))


def test_without_room_spikes_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    config = mixed(workload(), Scheme.PTQ, Rounding.STOCHASTIC)
    expected = counts_of(workload().evaluate(config, seed=1))
    monkeypatch.setattr("qspinn_optuna.workloads.stdp.measurement._CACHED_BYTES", 0)
    of = workload()
    assert [counts_of(of.evaluate(config, seed=1)) for _ in range(2)] == [expected, expected]


def test_a_device_that_learns_has_one_scheme() -> None:
    assert workload().schemes == (Scheme.PTQ, Scheme.ITQ)
    assert workload(deployment=Deployment.LEARNING).schemes == (Scheme.ITQ,)


def test_a_study_prunes_what_floats_cannot_carry_and_goes_on() -> None:
    # So fast a decay has its 24 bits far behind the binary point: with a fine membrane they do not fit float64.
    of = workload(replace(SMALL, membrane_tau=0.1))
    space = QuantizationSpace(of.parameters, {"weight": 3, "scale": 10, "membrane": (10, 24), "theta": 10, "decay": 24})
    study = optuna.create_study(directions=["minimize", "maximize"])
    fine, coarse = (space.params(space.uniform(width, Scheme.PTQ, Rounding.NEAREST)) for width in (24, 10))
    for params in (fine, coarse):
        study.enqueue_trial(params)
    study.optimize(QuantizationObjective(of, space), n_trials=2)
    assert [trial.state for trial in study.trials] == [TrialState.PRUNED, TrialState.COMPLETE]


def test_a_device_that_learns_has_a_model_too() -> None:
    of = workload(replace(SMALL, shadow=False), deployment=Deployment.LEARNING)
    config: QuantizationConfig = mixed(of, Scheme.ITQ, Rounding.STOCHASTIC)
    assert accuracy(of.integer_model(config)) == of.test(config, 0)
    assert isinstance(of, STDPWorkload)


def test_samples_are_the_test_images() -> None:
    of = workload()
    config = mixed(of, Scheme.PTQ, Rounding.STOCHASTIC)
    samples = of.integer_samples(config, seed=2)
    assert samples.is_whole
    right = classify(of.integer_model(config, seed=2), samples.inputs) == samples.labels
    assert right.mean() == of.test(config, 2)
    few = of.integer_samples(config, count=3)
    assert (len(few), few.is_whole, str(few)) == (3, False, "the first 3 test samples")
    assert np.array_equal(few.inputs, samples.inputs[:3])
