"""Digits row by row: the sequences, the networks, and the study as its users run it, on a few digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sequential_mnist
import torch
from sequential_results import with_error
from spikingjelly.activation_based import functional

from qspinn_optuna import QuantizationSpace, Rounding, Scheme, export_c
from qspinn_optuna.cli import main_of_file
from qspinn_optuna.datasets import ImageSplits, LabeledImages, embedded_mnist, sequences_of
from qspinn_optuna.integer import classify
from qspinn_optuna.parameters import Family
from qspinn_optuna.workloads.supervised.events import search_space
from qspinn_optuna.workloads.supervised.sequences import (
    SequenceBatches,
    SequenceRecipe,
    SequenceSNN,
    first_trials,
    sequence_workload,
    state_controls,
)

STEPS, FEATURES, HIDDEN, CLASSES = 5, 3, 6, 4
SMALL = ["--hidden", "8", "--epochs", "1", "--fine-tune-epochs", "1", "--accuracy-drop", "0.9", "--trials", "1"]


def images(count: int, pixels: int) -> LabeledImages:
    draw = np.random.default_rng(0)
    return LabeledImages(
        draw.integers(0, 256, (count, pixels), dtype=np.uint8), draw.integers(0, 10, count, dtype=np.uint8)
    )


@pytest.fixture(scope="module")
def few() -> ImageSplits:
    digits = embedded_mnist()
    return ImageSplits(digits.train[:100], digits.validation[:50], digits.test[:50])


def test_a_step_is_a_row_of_the_image() -> None:
    data = images(7, 12)
    sequences = sequences_of(data, 4)
    assert sequences.shape == (7, 3, 4)
    assert all((sequences[n, t] == data.images[n, 4 * t : 4 * t + 4]).all() for n in range(7) for t in range(3))


@pytest.mark.parametrize(
    ("features", "message"),
    [(0, "features must be at least 1"), (13, "at least the 13 pixels of one step, got 12"), (5, "must divide the 12")],
)
def test_images_that_are_no_sequences_are_told(features: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sequences_of(images(2, 12), features)


def test_batches_have_every_image_once_in_its_order_or_another() -> None:
    data = images(10, 6)
    for shuffle in (False, True):
        found = list(SequenceBatches(data, 3, 4, shuffle=shuffle))
        pairs = [
            (sample.flatten().tolist(), int(label)) for batch in found for sample, label in zip(*batch, strict=True)
        ]
        expected = [
            ((image.astype(np.float32) / np.float32(255)).tolist(), int(label))
            for image, label in zip(data.images, data.labels, strict=True)
        ]
        assert sorted(pairs) == sorted(expected)
        assert shuffle or pairs == expected


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_network_is_what_numpy_computes(recurrent: bool) -> None:
    network = SequenceSNN(FEATURES, HIDDEN, CLASSES, recurrent=recurrent, decay=0.75, gain=4, score_scale=0.5)
    x = torch.rand((7, STEPS, FEATURES), generator=torch.Generator().manual_seed(0))
    weights = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    back = next((value for name, value in weights.items() if name.endswith("recurrent.weight")), None)
    assert (back is not None) == recurrent
    v1 = v2 = np.zeros((7, HIDDEN))
    spikes, scores, came_back = np.zeros((7, HIDDEN)), np.zeros((7, CLASSES)), 0.0
    for t in range(STEPS):
        currents = x[:, t].double().numpy() @ weights["input_layer.weight"].T
        if back is not None:
            currents = currents + spikes @ back.T
            came_back += spikes.sum()
        v1 = 0.75 * v1 + currents
        spikes = (v1 >= 1).astype(float)
        v1 = v1 * (1 - spikes)
        v2 = 0.75 * v2 + spikes @ weights["hidden_layer.weight"].T
        fired = (v2 >= 1).astype(float)
        v2 = v2 * (1 - fired)
        scores += fired @ weights["readout.weight"].T
    assert scores.any()
    assert (came_back > 0) == recurrent
    np.testing.assert_allclose(network(x).detach().numpy(), 0.5 * scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 0, FEATURES), (2, STEPS, FEATURES + 1), (STEPS, FEATURES)])
def test_what_is_no_sequence_of_the_network_is_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"sequences must be \[batch, steps, 3 values\], got"):
        SequenceSNN(FEATURES, HIDDEN, CLASSES)(torch.rand(shape))


def test_splits_of_other_lengths_are_told() -> None:
    with pytest.raises(ValueError, match=r"same number of pixels, got \[56, 56, 84\]"):
        ImageSplits(images(3, 56), images(3, 56), images(3, 84))


def test_integers_and_c_are_the_network_and_its_input_and_states_are_counted(few: ImageSplits, tmp_path: Path) -> None:
    workload = sequence_workload(SequenceRecipe(recurrent=True, hidden=8, epochs=1, fine_tune_epochs=1), few)
    counts: dict[Family, int] = {}
    for parameter in workload.parameters:
        counts[parameter.family] = counts.get(parameter.family, 0) + (parameter.count or 0)
    assert counts[Family.INPUT] == 28
    assert counts[Family.WEIGHT] == 28 * 8 + 2 * 8 * 8 + 8 * 10
    assert (counts[Family.MEMBRANE], counts[Family.TRACE]) == (16, 8)
    config = QuantizationSpace(workload.parameters, bits=(2, 8)).uniform(3, Scheme.ITQ, Rounding.NEAREST)
    model, samples = workload.integer_model(config), workload.integer_samples(config, count=5)
    inputs = next(iter(workload.test_batches))[0][:5]
    assert (classify(model, samples.inputs) == scores_of(workload.quantize(config, 0), inputs).argmax(1).numpy()).all()
    export_c(model, tmp_path / "c").verify(samples.inputs)


@pytest.mark.parametrize("recurrent", [False, True])
def test_without_states_the_order_of_the_rows_is_lost(recurrent: bool, few: ImageSplits) -> None:
    workload = sequence_workload(SequenceRecipe(recurrent=recurrent, hidden=16, epochs=1, fine_tune_epochs=1), few)
    assert list(state_controls(workload)) == ["float, fine-tuned", "states deleted, retrained"]
    inputs = next(iter(workload.test_batches))[0]
    forwards, backwards = scores_of(workload.network, inputs), scores_of(workload.network, inputs.flip(1))
    assert not torch.allclose(forwards, backwards, atol=1e-3)
    without = scores_of(workload.state_deleted, inputs)
    torch.testing.assert_close(without, scores_of(workload.state_deleted, inputs.flip(1)))
    assert without.any()


def scores_of(network: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    functional.reset_net(network)
    with torch.no_grad():
        scores: torch.Tensor = network(inputs)
    return scores


@pytest.fixture
def _in_folder(few: ImageSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sequential_mnist, "embedded_mnist", lambda: few)


@pytest.mark.usefixtures("_in_folder")
def test_the_study_runs_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = sequential_mnist.__file__
    assert main_of_file(script, [*SMALL, "--recurrent", "--json", "report.json"]) == 0
    assert "Control: states deleted, retrained" in capsys.readouterr().out
    report: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
    assert len(report["controls"]) == 2
    assert "test_accuracy" in report["choice"]
    assert main_of_file(script, SMALL) == 2  # Another network is another study.
    assert "'sequential-mnist' began differently" in capsys.readouterr().err


def test_errors_of_the_table() -> None:
    assert with_error([50.0], 10_000) == "50.00 +- 0.50"
    assert with_error([90.0, 92.0, 94.0], 10_000, sign="+") == "+92.00 +- 1.15"


def test_studies_of_one_bit_begin_with_one_and_two_between_neurons(few: ImageSplits) -> None:
    recipe = SequenceRecipe(recurrent=True, hidden=64, epochs=1).for_one_bit()
    space = search_space(sequence_workload(recipe, few))
    wide_ends, two_bits, narrowest = (space.config(params).bits for params in first_trials(space))
    between = {"hidden_layer.weight", "neurons1.element_wise_function.recurrent.weight"}
    ends = {"input_layer.weight", "readout.weight"}
    assert {wide_ends[name] for name in between} == {1}
    assert {wide_ends[name] for name in ends} == {4}
    assert two_bits == wide_ends | dict.fromkeys(between, 2)
    assert narrowest == wide_ends | dict.fromkeys(ends, 1)
