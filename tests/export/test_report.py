"""REPORT.md: what was counted of a model; and the classes of the C."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qspinn_optuna.export import Accuracy, Export, export_c, tools
from qspinn_optuna.integer import classify, measure
from tests.integer.models import example_model, random_images

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, tools.HOST_COMPILERS)), reason="no C compiler: cc, gcc or clang is needed"
)


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    """Without tools for devices, which take longer than the rest."""
    monkeypatch.setattr(tools, "ARM_COMPILER", "no-such-compiler")
    monkeypatch.setattr(Export, "on_cortex_m3", "not compiled")
    monkeypatch.setattr(Export, "_speed", ("not compiled", "not emulated"))
    return export_c(example_model(), tmp_path / "c", samples=random_images(8, 6))


def cells(report: str, first: str) -> list[str]:
    """The row that begins so, without its first cell."""
    (row,) = (line for line in report.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in row.split("|")[2:-1]]


def test_it_has_the_metrics_of_the_samples_of_the_vectors(export: Export) -> None:
    report = (export.folder / "REPORT.md").read_text()
    metrics = measure(example_model(), random_images(8, 6))
    (synapses,), (activity,) = metrics.synapses, metrics.activities
    assert "over 6 samples" in report
    assert cells(report, "footprint, bytes, every width as it is") == [f"{(137 + 46) / 8}"]
    assert cells(report, "connection sparsity") == [f"{synapses.zeros / 24:.5f}"]
    assert cells(report, "activation sparsity") == [f"{activity.sparsity:.5f}"]
    assert cells(report, "synaptic operations a sample, dense") == [f"{6 * 4 * 8}"]
    assert cells(report, "effective accumulates a sample") == [f"{synapses.effective:.1f}"]
    assert cells(report, "effective multiply-accumulates a sample") == ["0.0"]
    assert activity.spikes > 0
    assert "## Accuracy" not in report


def test_it_has_the_accuracies_that_are_known(export: Export) -> None:
    export.write_report([Accuracy("study", 0.75, "the test set"), Accuracy("C", 0.5, "the first 8 test samples")])
    report = (export.folder / "REPORT.md").read_text()
    assert cells(report, "study") == ["the test set", "75.00%"]
    assert cells(report, "C") == ["the first 8 test samples", "50.00%"]


@needs_compiler
def test_the_c_classifies_as_the_interpreter_does(export: Export) -> None:
    images = random_images(9, 200)
    for first in (None, 7):
        expected = classify(example_model(), images, first)
        assert len(set(expected.tolist())) > 1
        assert np.array_equal(export.classify(images, first), expected)
    # Draws are keyed by the number of the sample.
    assert not np.array_equal(export.classify(images, 7), export.classify(images, 8))


@needs_compiler
def test_an_export_that_was_written_before_has_metrics_and_classes(export: Export) -> None:
    again = Export(export.folder, replace(export.model), export.prefix)
    assert again.metrics.samples == 2
    assert np.array_equal(again.classify(random_images(1, 3)), export.classify(random_images(1, 3)))
