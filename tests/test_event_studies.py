"""The studies on events as their users run them: a few generated gestures, few epochs."""

from __future__ import annotations

import contextlib
import io
import json
import re
import tokenize
from pathlib import Path
from typing import Any

import dvs_gesture
import optuna
import pytest

import qspinn_optuna.datasets
from qspinn_optuna.cli import main, main_of_file
from qspinn_optuna.cli.parser import make_run_parser
from qspinn_optuna.datasets import embedded_mnist
from qspinn_optuna.workloads.supervised.events import RUNGS

SMALL = ["--users", "2", "--test-users", "1", "--epochs", "1", "--fine-tune-epochs", "1", "--accuracy-drop", "0.9"]
OWN_NETWORK = Path(dvs_gesture.__file__).with_name("own_network.py")


def run(folder: Path, *arguments: str) -> int:
    """The exit code of the script in this process, which spares the imports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        try:
            return main_of_file(dvs_gesture.__file__, [*SMALL, *arguments])
        except SystemExit as end:  # The parser refused.
            return int(end.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the study ran once, with 3 trials."""
    folder = tmp_path_factory.mktemp("gestures")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert run(folder, "--trials", "3", "--json", "report.json") == 0
    assert "Pareto front of 3 trials" in out.getvalue()
    assert "Control: states deleted, retrained, circling arms alone" in out.getvalue()
    assert "\r" not in err.getvalue()  # Bars are for terminals.
    return folder


def report(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return content


def test_the_report_has_the_documented_form_and_the_controls(folder: Path) -> None:
    content = report(folder)
    assert {"baseline_accuracy", "front", "choice", "controls"} <= content.keys()
    fields = {"trial", "scheme", "rounding", "bits", "memory_kib", "compression", "accuracy"}
    assert all(member.keys() == fields for member in content["front"])
    assert fields | {"reward", "rule", "rivals", "config", "test_accuracy"} <= content["choice"].keys()
    assert len(content["controls"]) == 4


def test_a_second_run_goes_on_without_training_anything_again(folder: Path) -> None:
    cached = {path: path.stat().st_mtime_ns for path in (folder / "qspinn-cache").iterdir()}
    assert len(cached) >= 3
    first = report(folder)
    assert run(folder, "--trials", "0", "--json", "report.json") == 0
    assert report(folder) == first
    assert {path: path.stat().st_mtime_ns for path in (folder / "qspinn-cache").iterdir()} == cached
    assert run(folder, "--trials", "1") == 0
    study = optuna.load_study(study_name="dvs-gesture", storage=f"sqlite:///{folder / 'qspinn.db'}")
    assert len([trial for trial in study.trials if trial.values]) == 4


def test_trainings_are_looked_at_only_where_there_is_a_pruner(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for options, rungs in (([], ()), (["--pruning-confidence", "0.9"], RUNGS)):
        parser = make_run_parser("dvs_gesture.py", "")
        dvs_gesture.add_arguments(parser)
        assert dvs_gesture.workload(parser.parse_args([*SMALL, *options])).rungs == rungs


def test_the_probes_go_through_the_widths(folder: Path) -> None:
    study = optuna.load_study(study_name="dvs-gesture", storage=f"sqlite:///{folder / 'qspinn.db'}")
    probes = [(trial.params["scheme"], trial.params["bits.conv1.weight"]) for trial in study.trials if trial.values]
    assert probes == [("ptq", 8), ("itq", 8), ("ptq", 4), ("itq", 4)]


# Sums of many inputs leave 7 bits to the weights of a layer of that network.
@pytest.mark.filterwarnings("ignore:.* is limited from 16 to 7 bits")
def test_another_network_is_another_study(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--network", "local", "--trials", "1") == 2
    assert re.search(r"dvs_gesture\.py: error: .*'dvs-gesture' began differently", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "nmnist"], "--dataset nmnist needs --data-dir"),
        (["--dataset", "nmnist", "--data-dir", ".", "--time-reversal"], "--time-reversal is for gestures"),
        (["--dataset", "cifar"], "invalid choice"),
        (["--epochs", "0"], "must be at least 1"),
    ],
)
def test_bad_arguments_are_told(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("dataset", ["dvs-gesture", "nmnist"])
def test_a_folder_without_recordings_is_told(tmp_path: Path, dataset: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--dataset", dataset, "--data-dir", str(tmp_path)) == 1
    assert re.search(
        r"dvs_gesture\.py: error: dvs_gesture.py, line \d+: .*must hold events_np", capsys.readouterr().err
    )
    assert not [path for path in tmp_path.iterdir() if path.name != "qspinn.db"]


def test_your_own_network_takes_forty_lines() -> None:
    ignored = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    tokens = list(tokenize.generate_tokens(io.StringIO(OWN_NETWORK.read_text()).readline))
    docstring = next(token for token in tokens if token.type == tokenize.STRING)
    lines = {line for token in tokens if token.type not in ignored for line in range(token.start[0], token.end[0] + 1)}
    assert len(lines - set(range(docstring.start[0], docstring.end[0] + 1))) <= 40


def test_your_own_network_runs_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = embedded_mnist().with_train_size(200)
    monkeypatch.setattr(qspinn_optuna.datasets, "embedded_mnist", lambda: small)
    for trials in (2, 4):
        assert main(["run", str(OWN_NETWORK), "--trials", "2", "--accuracy-drop", "0.5"]) == 0
        assert "x smaller than 32 bits" in capsys.readouterr().out
        study = optuna.load_study(study_name="own_network", storage=f"sqlite:///{tmp_path / 'qspinn.db'}")
        assert len(study.trials) == trials
    assert len(list((tmp_path / "qspinn-cache").iterdir())) >= 2
