"""``--sensitivity``: what narrow widths do to the output, before the search."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest

from qspinn_optuna.cli import main
from qspinn_optuna.study import recorded_sensitivity

NETWORK = """
from tests.supervised.toy import toy_workload as workload
from qspinn_optuna import QuantizationSpace

def space(workload):
    return QuantizationSpace(workload.parameters, bits=(2, 8), schemes=("ptq",))
"""

FORMULA = """
from tests.fake_workload import FakeWorkload as workload
"""

INSENSITIVE = """
from tests.significance.test_sensitivity import Blurred

def workload():
    made = Blurred()
    made.noise *= 0.01
    return made
"""

STORED = ["--storage", "sqlite:///trials.db", "--study", "toy"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "formula.py").write_text(FORMULA)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_is_measured_once_told_and_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del folder
    command = ["run", "net.py", "--sensitivity", "--trials", "3", "--accuracy-drop", "0.3", *STORED]
    command += ["--json", "report.json"]
    assert main(command) == 0
    told = capsys.readouterr().out
    study = optuna.load_study(study_name="toy", storage="sqlite:///trials.db")
    kept = recorded_sensitivity(study)
    assert kept is not None
    assert f"Sensitivity, from {kept.networks} networks on {kept.samples:,} samples in all" in told
    cost = f"of {kept.networks} networks on {kept.samples:,} samples in all"
    as_many = f"as many as {kept.samples / 40:.1f} evaluations"
    assert f"The study has a sensitivity {cost}, {as_many}" in told
    report = json.loads(Path("report.json").read_text())
    assert report["sensitivity"] == kept.to_dict() | {"samples_of_an_evaluation": 40}
    name, loss = kept.most_sensitive(1)[0]
    assert f"{name}: {loss:.0%} at 2 bits" in told
    assert main(command) == 0
    assert "The study goes on with the sensitivity that it has." in capsys.readouterr().out
    assert recorded_sensitivity(optuna.load_study(study_name="toy", storage="sqlite:///trials.db")) == kept


def test_where_it_cannot_be_told_the_search_begins_without(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del folder
    run = ["run", "net.py", "--sensitivity", "--bits", "8-8", "--trials", "1", "--accuracy-drop", "0.3", *STORED]
    assert main(run) == 0
    assert "No sensitivity: no parameter has more than one width to search." in capsys.readouterr().out
    assert recorded_sensitivity(optuna.load_study(study_name="toy", storage="sqlite:///trials.db")) is None


def test_parameters_that_lose_nothing_are_not_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "insensitive.py").write_text(INSENSITIVE)
    assert (
        main(["run", "insensitive.py", "--sensitivity", "--bits", "2-8", "--trials", "2", "--accuracy-drop", "1"]) == 0
    )
    told = capsys.readouterr().out
    assert "above guessing that is lost: next to none\n" in told
    assert "0% at" not in told


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["formula.py"], "--sensitivity needs a workload with scores(config, samples), such as a SupervisedWorkload"),
        (["net.py", "--trials", "0"], "--sensitivity is for a search, got --trials 0: give it at least 1"),
        (["net.py", "--sampler", "tpe"], "--sensitivity is for --sampler memory-aware, which begins with it, got tpe"),
    ],
)
def test_what_would_not_use_it_is_refused_before_anything_is_trained(
    folder: Path, capsys: pytest.CaptureFixture[str], command: list[str], message: str
) -> None:
    del folder
    assert main(["run", *command, "--sensitivity"]) == 2
    assert message in capsys.readouterr().err
