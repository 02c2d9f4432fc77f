"""The commands, in one process, on a network that is a formula."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from qspinn_optuna.cli import main, main_of_file
from qspinn_optuna.cli.spaces import default_space
from qspinn_optuna.cli.studies import in_options
from qspinn_optuna.config import Scheme
from qspinn_optuna.parameters import Family, ParameterSpec
from qspinn_optuna.selection import recorded_choice
from qspinn_optuna.study import DifferentStudyError, accuracies_on_test
from tests.cli.fake_file import TEXT, asked, write_file
from tests.fake_workload import FakeWorkload

RUN = ["run", "formula.py", "--trials", "8"]


def study_in(folder: Path, name: str = "formula") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{folder / 'qspinn.db'}")


def error_of(capsys: pytest.CaptureFixture[str], *command: str, code: int) -> str:
    """The one line of an error."""
    assert main(list(command)) == code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("qspinn: error: ")
    return line


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study ran."""
    folder = tmp_path_factory.mktemp("finished")
    write_file(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*RUN, "--best", "0.9", "--json", "report.json"]) == 0
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is the current one."""
    for path in finished.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "asked.txt").unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_searches_chooses_tests_and_reports(finished: Path) -> None:
    asked_for = (finished / "asked.txt").read_text().split()
    assert asked_for.count("evaluate") == 8
    assert asked_for.count("baseline") == asked_for.count("test_baseline") == 1
    assert 1 <= asked_for.count("test") <= 2
    report = json.loads((finished / "report.json").read_text())
    smallest = min(report["front"], key=lambda member: member["memory_kib"])
    assert {name: report["choice"][name] for name in smallest} == smallest
    assert report["choice"]["test_accuracy"] == pytest.approx(report["choice"]["accuracy"] - 0.01, abs=1e-3)
    assert (report["baseline_accuracy"], report["baseline_test_accuracy"]) == (0.9, 0.89)
    assert (finished / "formula.html").exists()


def test_another_run_goes_on_and_one_without_trials_asks_for_nothing(folder: Path) -> None:
    assert main(["run", "formula.py", "--best", "0.9", "--trials", "0", "--json", "second.json"]) == 0
    assert asked(folder) == []
    assert json.loads((folder / "second.json").read_text()) == json.loads((folder / "report.json").read_text())
    assert main(["run", "formula.py", "--best", "0.9", "--trials", "2"]) == 0
    assert asked(folder).count("evaluate") <= 2
    assert len(study_in(folder).trials) == 10


def test_show_tells_what_the_study_knows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "formula.py").unlink()
    assert main(["show", "--json", "shown.json", "--html", "shown.html"]) == 0
    shown = capsys.readouterr().out
    assert asked(folder) == []
    assert "float network: 90.00% on held-out samples, 89.00% on the test set" in shown
    assert "from 89.00%" in shown
    assert "trials: 8 complete" in shown
    assert "Pareto front of 8 trials" in shown
    assert "Chosen: smallest model" in shown
    assert "formula.py --trials 8 --best 0.9" in shown
    report = json.loads((folder / "report.json").read_text())
    assert json.loads((folder / "shown.json").read_text())["choice"] == report["choice"]
    assert "Pareto front" in (folder / "shown.html").read_text()


def test_choose_keeps_the_choice_of_another_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = recorded_choice(study_in(folder))
    assert main(["choose", "--mu", "0"]) == 0
    choice = recorded_choice(study_in(folder))
    assert asked(folder) == []
    assert choice is not None
    assert before is not None
    report = json.loads((folder / "report.json").read_text())
    assert choice.accuracy == max(member["accuracy"] for member in report["front"]) > before.accuracy
    assert f"trial {choice.trial_number}: " in capsys.readouterr().out


def test_what_tests_a_choice_is_printed_as_it_can_be_typed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in folder.glob("qspinn.db*"):
        path.rename(folder / path.name.replace("qspinn", "copy"))
    storage = "sqlite:///copy.db"
    assert main(["choose", "--storage", storage, "--mu", "0", "--accuracy-drop", "0.5"]) == 0
    command = re.search(r"not tested yet, which this does: qspinn (run .*)", capsys.readouterr().out)
    assert command is not None
    assert main(shlex.split(command[1])) == 0
    study = optuna.load_study(study_name="formula", storage=storage)
    choice = recorded_choice(study)
    assert choice is not None
    assert choice.accuracy == max(trial.values[1] for trial in study.trials)
    assert choice.trial_number in accuracies_on_test(study)
    assert len(study.trials) == 8
    assert not (folder / "qspinn.db").exists()


@pytest.mark.usefixtures("folder")
def test_a_run_says_how_many_trials_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN[:3], "1", "--best", "0.9"]) == 0
    assert "8 finished trials are kept" in capsys.readouterr().out


def test_choose_moves_the_floor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["choose", "--accuracy-drop", "0.5"]) == 0
    low = recorded_choice(study_in(folder))
    assert low is not None
    assert low.memory_kib == min(trial.values[0] for trial in study_in(folder).trials)
    assert "at least 40.00%" in capsys.readouterr().out
    # A floor that no trial reaches leaves everything as it was.
    assert "floor" in error_of(capsys, "choose", "--accuracy-drop", "0", code=1)
    assert recorded_choice(study_in(folder)) == low
    assert main(["show"]) == 0
    assert "from 40.00%" in capsys.readouterr().out


def test_publish_needs_neither_file_nor_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "formula.py").unlink()
    assert main(["publish"]) == 0
    assert "optuna-dashboard sqlite:///qspinn.db" in capsys.readouterr().out
    assert asked(folder) == []


def test_a_trial_is_evaluated_again_when_what_its_run_wrote_is_gone(folder: Path) -> None:
    outputs = folder / "outputs"
    outputs.mkdir()
    assert main(["run", "formula.py", "--trials", "0", "--best", "0.9", "--html", str(outputs / "front.html")]) == 0
    shutil.rmtree(outputs)
    assert main(["evaluate", "--trial", "0"]) == 0


def test_a_trial_evaluated_again_has_the_same_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--trial", "3"]) == 0
    assert "The counts are the same" in capsys.readouterr().out
    assert asked(folder) == ["evaluate"]
    assert main(["evaluate", "formula.py", "--trial", "3"]) == 0


def test_other_counts_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(folder, TEXT.replace("yield correct, 1_000", "yield correct - 1, 1_000"))
    assert "trial 3 has other counts now" in error_of(capsys, "evaluate", "formula.py", "--trial", "3", code=1)


def test_another_workload_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(folder, TEXT.replace('"formula"', '"another"'))
    assert 'was "formula", now "another"' in error_of(capsys, "evaluate", "formula.py", "--trial", "3", code=2)
    assert 'was "formula", now "another"' in error_of(capsys, *RUN, "--best", "0.9", code=2)
    assert "--best was 0.9, now 0.8" in error_of(capsys, "run", "formula.py", "--trials", "0", "--best", "0.8", code=2)
    assert asked(folder) == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["show", "--study", "other"], "--study must be one of formula, got other"),
        (["show", "--storage", "sqlite:///nowhere.db"], "--storage must be a database that exists"),
        (["show", "--storage", "nowhere"], "--storage must be a URL"),
        (["choose", "--storage", "sqlite:///report.json"], "storage must be the URL of a database"),
        (["evaluate", "--trial", "8"], "--trial must be under 8"),
        (["evaluate", "nowhere.py", "--trial", "1"], "FILE.py must be"),
        (["run", "nowhere.py"], "FILE.py must be"),
        ([*RUN, "--storage", "sqlite:////no/such/folder/a.db"], "storage must be the URL of a database"),
        ([*RUN, "--bits", "lif.w=2"], "bits must name"),
        ([*RUN, "--bits", "0-8"], "must be between 1 and 24"),
    ],
)
def test_a_command_line_that_names_what_is_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str], command: list[str], message: str
) -> None:
    assert message in error_of(capsys, *command, code=2)
    assert asked(folder) == []
    assert not (folder / "nowhere.db").exists()


@pytest.mark.usefixtures("folder")
def test_a_database_without_studies(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty.db").touch()
    assert "has no study" in error_of(capsys, "show", "--storage", "sqlite:///empty.db", code=2)


@pytest.mark.usefixtures("folder")
def test_a_database_of_another_program(capsys: pytest.CaptureFixture[str]) -> None:
    sqlite3.connect("contacts.db").execute("CREATE TABLE contacts (name)").connection.close()
    before = Path("contacts.db").read_bytes()
    assert "another program" in error_of(capsys, "show", "--storage", "sqlite:///contacts.db", code=2)
    assert Path("contacts.db").read_bytes() == before


@pytest.mark.usefixtures("folder")
def test_a_study_of_another_program(capsys: pytest.CaptureFixture[str]) -> None:
    storage = "sqlite:///qspinn.db"
    optuna.create_study(study_name="one", storage=storage)
    optuna.create_study(study_name="two", storage=storage, directions=["minimize", "maximize"]).ask()
    for command in (["show"], ["choose"], ["publish"], ["evaluate", "--trial", "0"], RUN):
        assert "another program" in error_of(capsys, *command, "--study", "one", code=2)
        assert "another program" in error_of(capsys, *command, "--study", "two", code=2)
    assert "--study must be one of formula, one, two: there are several" in error_of(capsys, "show", code=2)


def test_trials_that_are_refused_or_stopped_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refusing = TEXT.replace(
        'note("evaluate")', 'from qspinn_optuna import InexactError\n        raise InexactError("too wide")'
    )
    write_file(tmp_path, refusing)
    assert main([*RUN]) == 1
    assert main(["show"]) == 1
    shown = capsys.readouterr()
    assert "trials: 8 pruned" in shown.out
    assert "8 refused: too wide" in shown.out
    assert "no finished trial" in shown.err
    assert "which was refused: too wide" in error_of(capsys, "evaluate", "--trial", "0", code=2)


def test_an_error_of_the_file_in_an_evaluation_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path, TEXT.replace("correct = round(", "correct = 1 / (0 *"))
    line = TEXT.splitlines().index("        correct = round(1_000 * self._accuracy(config))") + 1
    assert main(RUN) == 1
    printed = capsys.readouterr().err
    assert f"error: formula.py, line {line}: ZeroDivisionError: " in printed
    assert "Traceback" not in printed
    assert main([*RUN, "--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_file(tmp_path, TEXT.replace("yield correct, 1_000", "raise KeyboardInterrupt"))
    assert main(RUN) == 130
    assert "the same command goes on" in capsys.readouterr().err
    write_file(tmp_path)
    assert main_of_file(path, ["--trials", "1"]) == 0
    trials = study_in(tmp_path).trials
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE"]
    assert trials[0].params == trials[1].params


def test_the_command_line_narrows_the_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path)
    narrow = ["--bits", "weight=3-4", "lif.v=6", "--schemes", "itq", "--roundings", "nearest", "truncation"]
    assert main([*RUN, "--trials", "3", "--accuracy-drop", "1", *narrow]) == 0
    study = study_in(tmp_path)
    found: dict[str, Any] = {
        name: distribution for trial in study.trials for name, distribution in trial.distributions.items()
    }
    assert {(name, d.low, d.high) for name, d in found.items() if name.startswith("bits.")} == {
        ("bits.weight", 3, 4),
        ("bits.lif.v", 6, 6),
    }
    assert found["scheme"].choices == ("itq",)
    assert set(found["rounding"].choices) == {"nearest", "truncation"}


def test_first_trials_and_controls_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    more = """
def space(workload):
    from qspinn_optuna import QuantizationSpace
    note("space")
    return QuantizationSpace(workload.parameters, bits=(2, 9))
def first_trials(space):
    return [{"scheme": "ptq", "rounding": "nearest", "bits.fc.weight": 8, "bits.lif.v": v} for v in (9, 5, 5, 4)]
def controls(workload):
    note("controls")
    return {"without states": 0.5}
"""
    write_file(tmp_path, TEXT + more)
    assert main([*RUN, "--trials", "3"]) == 0
    assert [trial.params["bits.lif.v"] for trial in study_in(tmp_path).trials] == [9, 5, 4]
    assert "Control: without states, 50.00% on the test set" in capsys.readouterr().out
    assert {"controls", "space"} <= set(asked(tmp_path))
    assert main([*RUN, "--trials", "0"]) == 0
    assert main(["show"]) == 0
    assert "Control: without states" in capsys.readouterr().out
    assert asked(tmp_path) == []
    assert main([*RUN, "--study", "narrow", "--trials", "1", "--bits", "lif.v=2-5"]) == 0
    assert study_in(tmp_path, "narrow").trials[0].params["bits.lif.v"] == 5
    capsys.readouterr()
    write_file(tmp_path, TEXT + more.replace("(9, 5, 5, 4)", "(9, 1)"))
    assert "params['bits.lif.v'] must be within" in error_of(capsys, *RUN, "--study", "wrong", code=1)


class OfLayers(FakeWorkload):
    """Parameters of several layers, one of which cannot be as wide as the others; no training."""

    schemes = (Scheme.PTQ,)
    parameters = (  # type: ignore[assignment]
        ParameterSpec("a.weight", Family.WEIGHT, 5, 0, 1),
        ParameterSpec("b.weight", Family.WEIGHT, 5, 0, 1, max_bits=6),
        ParameterSpec("lif.v", Family.MEMBRANE, 5, 0, 1),
    )


def test_the_default_space_has_a_width_for_each_family_and_the_workloads_schemes() -> None:
    assert default_space(FakeWorkload()).widths == {"weight": (2, 8), "membrane": (2, 8)}
    assert default_space(FakeWorkload()).schemes == tuple(Scheme)
    assert default_space(OfLayers()).widths == {"weight": (2, 6), "membrane": (2, 8)}
    named = default_space(OfLayers(), {"a.weight": (1, 3), "membrane": (9, 10)})
    assert named.widths == {"a.weight": (1, 3), "weight": (2, 6), "membrane": (9, 10)}
    assert named.schemes == (Scheme.PTQ,)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    program = (
        "import sys; from qspinn_optuna.cli.errors import exit_code_of; "
        "sys.exit(exit_code_of(lambda: print('line\\n' * 100_000), 'qspinn', verbose=False))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_a_new_study_is_not_trained_for_a_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--trials must be at least 1" in error_of(
        capsys, "run", "formula.py", "--trials", "0", "--study", "new", code=2
    )
    assert not (folder / "asked.txt").exists()


@pytest.mark.usefixtures("folder")
def test_a_space_that_differs_is_told_by_options(capsys: pytest.CaptureFixture[str]) -> None:
    line = error_of(capsys, *RUN, "--best", "0.9", "--bits", "3-4", "--schemes", "ptq", code=2)
    assert "--bits membrane was 2 to 8, now 3 to 4; --bits weight was 2 to 8, now 3 to 4; --schemes was" in line
    assert "formats" not in line


def test_what_no_option_changes_is_told_by_its_name() -> None:
    error = DifferentStudyError("a", [("space.parameters.fc.count", 4, 5), ("space.dimensions.bits.fc", 2, 3)])
    line = in_options(error, argparse.Namespace())
    assert "began differently: space.parameters.fc.count was 4, now 5; --bits fc was 2, now 3." in line


@pytest.mark.usefixtures("folder")
def test_a_budget_that_nothing_meets_is_told_by_its_option(capsys: pytest.CaptureFixture[str]) -> None:
    line = error_of(capsys, "choose", "--budget-kib", "0.001", code=2)
    least = re.search(r"--budget-kib must be at least the ([\d.]+) KiB", line)
    assert least
    assert main(["choose", "--budget-kib", least[1]]) == 0


@pytest.mark.usefixtures("folder")
def test_the_drop_that_is_named_takes_the_most_accurate_model(capsys: pytest.CaptureFixture[str]) -> None:
    line = error_of(capsys, "choose", "--accuracy-drop", "0", code=1)
    named = re.search(
        r"under the accuracy floor\. Run more --trials .* qspinn (choose .* --accuracy-drop ([\d.]+))$", line
    )
    assert named
    assert main(shlex.split(named[1])) == 0
    assert main(["choose", "--accuracy-drop", f"{float(named[2]) - 0.0002:g}"]) == 1


def test_trials_of_another_program_are_told_with_what_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study_in(folder).add_trial(optuna.trial.create_trial(values=[0.01, 0.95]))
    assert re.search(r"Trial 8 must have .*: search in a study of another name", error_of(capsys, "show", code=1))
