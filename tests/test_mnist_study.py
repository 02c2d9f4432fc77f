"""The study as its users run it: real digits, a small network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mnist_stdp
import optuna
import pytest

from qspinn_optuna.cli import main, main_of_file
from qspinn_optuna.cli.parser import make_run_parser
from qspinn_optuna.significance import recorded_significance
from qspinn_optuna.workloads.stdp import STDPWorkload
from qspinn_optuna.workloads.stdp.mnist import RUNGS

SMALL = ["--neurons", "20", "--train-size", "300", "--epochs", "1", "--accuracy-drop", "0.3"]


def run(folder: Path, *arguments: str) -> int:
    """The exit code of the script in this process, which spares the imports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        try:
            return main_of_file(mnist_stdp.__file__, [*SMALL, *arguments])
        except SystemExit as end:  # The parser refused.
            return int(end.code or 0)


def report(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the study ran once, with 10 trials, in a process of its own."""
    folder = tmp_path_factory.mktemp("study")
    script = Path(mnist_stdp.__file__).resolve()
    command = [sys.executable, str(script), *SMALL, "--trials", "10", "--json", "report.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Pareto front of 10 trials" in done.stdout
    assert "optuna-dashboard sqlite:///qspinn.db" in done.stdout
    return folder


def trials(folder: Path) -> list[tuple[dict[str, Any], list[float]]]:
    study = optuna.load_study(study_name="mnist-stdp", storage=f"sqlite:///{folder / 'qspinn.db'}")
    return [(trial.params, trial.values) for trial in study.trials]


def test_the_report_has_the_documented_form(folder: Path) -> None:
    content = report(folder)
    assert {"baseline_accuracy", "front", "choice"} <= content.keys()
    fields = {"trial", "scheme", "rounding", "bits", "memory_kib", "compression", "accuracy"}
    assert all(member.keys() == fields for member in content["front"])
    assert fields | {"reward", "rule", "rivals", "config", "test_accuracy"} <= content["choice"].keys()
    assert 0.3 < content["choice"]["test_accuracy"] <= 1


def test_the_front_in_the_report_is_that_of_the_trials(folder: Path) -> None:
    values = [values for _, values in trials(folder)]
    for member in report(folder)["front"]:
        point = [member["memory_kib"], member["accuracy"]]
        assert values[member["trial"]] == point
        assert not any(other[0] <= point[0] and other[1] >= point[1] and other != point for other in values)


def test_the_figure_stands_alone(folder: Path) -> None:
    html = (folder / "mnist-stdp.html").read_text()
    assert "Pareto front" in html
    assert "<script src=" not in html


def test_the_same_seed_gives_the_same_trials_twice_and_a_second_run_goes_on(folder: Path, tmp_path: Path) -> None:
    first = trials(folder)
    assert run(tmp_path, "--trials", "10") == 0
    assert trials(tmp_path) == first
    assert run(tmp_path, "--trials", "2") == 0
    assert run(tmp_path, "--trials", "0") == 0
    assert trials(tmp_path)[:10] == first
    assert len(trials(tmp_path)) == 12


def test_a_device_that_learns_is_quantized_in_training(tmp_path: Path) -> None:
    assert run(tmp_path, "--on-device-learning", "--trials", "2", "--accuracy-drop", "1", "--json", "report.json") == 0
    front = report(tmp_path)["front"]
    assert {member["scheme"] for member in front} == {"itq"}
    assert all({"trace", "trace_decay", "theta_decay"} <= member["bits"].keys() for member in front)


def test_with_significance_the_search_begins_with_what_suffices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--measure-significance", "--trials", "1", "--accuracy-drop", "0.5") == 0
    study = optuna.load_study(study_name="mnist-stdp", storage=f"sqlite:///{tmp_path / 'qspinn.db'}")
    found = recorded_significance(study)
    assert found is not None
    # What suffices for the rounding of the trial, which may be more than suffices for another one.
    begun = {name: study.trials[0].params[f"bits.{name}"] for name in found.narrowest}
    assert all(found.narrowest[name] <= width <= found.narrowest[name] + 3 for name, width in begun.items())
    assert run(tmp_path, "--measure-significance", "--trials", "0", "--accuracy-drop", "0.4") == 0
    assert "goes on with the significance that it has, at a tolerance of 0.5." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--mu", "-1"], 2, "argument --mu: must be a finite number of at least 0, got -1"),
        (["--accuracy-drop", "2"], 2, "argument --accuracy-drop: must be a fraction between 0 and 1, got 2"),
        (["--trials", "-1"], 2, "argument --trials: must not be negative, got -1"),
        (["--neurons", "0"], 2, "argument --neurons: must be at least 1, got 0"),
        (["--sampler", "magic"], 2, "argument --sampler: invalid choice: 'magic'"),
        (["--data-dir", "nowhere"], 1, "nowhere must hold train-images-idx3-ubyte"),
        (["--train-size", "999999"], 1, "The train size must be between 1 and 3000, got 999999"),
        (["--storage", "sqlite:////no/such/folder/a.db"], 2, "storage must be the URL of a database"),
        (["--minimum-input-spikes", "1000"], 1, "minimum_input_spikes must leave an input"),
        (["--download"], 2, "--download needs --data-dir"),
        (["--pruning-gain", "0.01"], 2, "--pruning-gain needs --pruning-confidence"),
        (["--json", "no/such/folder/report.json"], 2, "argument --json: must be a file in a folder that exists"),
        (["--json", "."], 2, "argument --json: must be a file in a folder that exists"),
        (["--seed", "-1"], 2, "argument --seed: must be between 0 and"),
    ],
)
def test_bad_arguments_end_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert run(tmp_path, *arguments) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert "training" not in printed.out
    assert not (tmp_path / "mnist-stdp.html").exists()


def test_another_network_does_not_go_on_with_the_study(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = trials(folder)
    assert run(folder, "--neurons", "21") == 2
    printed = capsys.readouterr()
    assert "--neurons was 20, now 21" in printed.err
    assert "training" not in printed.out
    assert trials(folder) == before


@pytest.mark.parametrize(("options", "rungs"), [([], ()), (["--pruning-confidence", "0.9"], RUNGS)])
def test_trainings_are_looked_at_only_where_there_is_a_pruner(options: list[str], rungs: tuple[float, ...]) -> None:
    parser = make_run_parser("mnist_stdp.py", "")
    mnist_stdp.add_arguments(parser)
    assert mnist_stdp.workload(parser.parse_args([*options, "--train-size", "100"])).rungs == rungs


def test_a_report_of_a_finished_study_trains_and_tests_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    for name in ("network", "baseline", "test_baseline"):
        monkeypatch.setattr(STDPWorkload, name, property(refuse))
    for name in ("evaluate", "test"):
        monkeypatch.setattr(STDPWorkload, name, refuse)
    first = report(folder)
    assert run(folder, "--trials", "0", "--json", "report.json") == 0
    assert report(folder) == first


def test_a_trial_evaluated_again_has_the_same_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    number = next(number for number, (params, _) in enumerate(trials(folder)) if params["rounding"] == "stochastic")
    assert main(["evaluate", "--trial", str(number)]) == 0
    assert "The counts are the same" in capsys.readouterr().out
