"""``--confirm N`` and the risk, as the command line shows them."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest

from qspinn_optuna.cli import main
from tests.cli.fake_file import write_file

FILE = """
from qspinn_optuna.workloads import Fresh
from tests.fake_workload import AnsweringWorkload, fake_space


def workload():
    return AnsweringWorkload(Fresh.{fresh})


def space(workload):
    return fake_space()
"""
RUN = ["run", "net.py", "--accuracy-drop", "0.1", "--confirm", "2", "--json", "report.json"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which a confirmed study ran, and what that printed."""
    folder = tmp_path_factory.mktemp("confirmed")
    write_file(folder, FILE.format(fresh="SAMPLES"), "net.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        printed = []
        patch.setattr("builtins.print", lambda *words, **_: printed.append(" ".join(map(str, words))))
        assert main([*RUN, "--trials", "10"]) == 0
    return folder, "\n".join(printed)


def test_the_report_says_what_was_confirmed_on_what_and_what_it_cost(finished: tuple[Path, str]) -> None:
    folder, printed = finished
    assert "Measuring 2 models again and the float network, fresh samples" in printed
    assert "Measured again: 2 models, on 1,000 fresh samples" in printed
    assert "on 1,000 fresh samples\n" in printed.partition("Chosen: ")[2]
    report = json.loads((folder / "report.json").read_text())
    kept = report["confirmation"]
    assert kept["fresh"] == "fresh samples"
    assert report["choice"]["trial"] in [model["trial"] for model in kept["models"]]
    assert all(model["seen"] == 1_000 for model in [*kept["models"], kept["baseline"]])


def test_the_risk_has_a_line_and_a_field_and_steps_have_a_table(finished: tuple[Path, str]) -> None:
    folder, printed = finished
    report = json.loads((folder / "report.json").read_text())
    chosen = [step for step in report["steps"] if step["taken_by"] == "chosen"]
    assert [step["trial"] for step in chosen] == [report["choice"]["trial"]]
    assert 0 <= report["choice"]["risk"] == chosen[0]["risk"] <= 1
    (line,) = [line for line in printed.splitlines() if line.startswith("  risk ")]
    assert "of 2,000 samples, fresh samples too" in line
    table = printed.partition("What could be taken instead\n")[2].partition("\n\n")[0].splitlines()
    assert len(table) == 2 + len(report["steps"])
    assert max(map(len, table)) <= 60
    assert "  adapted as the others" in printed


def test_run_again_it_measures_nothing_again(
    finished: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = finished
    monkeypatch.chdir(folder)
    first = json.loads((folder / "report.json").read_text())
    assert main([*RUN, "--trials", "0"]) == 0
    assert "Measuring" not in capsys.readouterr().out
    assert json.loads((folder / "report.json").read_text()) == first
    # What is kept is told without the file, too.
    assert main(["show", "--json", "shown.json"]) == 0
    assert "2,000 samples, fresh samples too" in capsys.readouterr().out
    assert json.loads((folder / "shown.json").read_text())["choice"] == first["choice"]


def test_a_network_that_cannot_be_measured_again_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "formula.py", "--confirm", "2"]) == 2
    assert "--confirm: workload must be able to measure again, got Formula" in capsys.readouterr().err
    assert not (tmp_path / "asked.txt").exists()
    assert not (tmp_path / "qspinn.db").exists() or not optuna.get_all_study_names("sqlite:///qspinn.db")
    with pytest.raises(SystemExit):
        main(["run", "formula.py", "--confirm", "0"])
    assert "argument --confirm: must be at least 1, got 0" in capsys.readouterr().err


def test_a_note_and_the_trials_note_say_the_risk(finished: tuple[Path, str]) -> None:
    folder, _ = finished
    study = optuna.load_study(study_name="net", storage=f"sqlite:///{folder / 'qspinn.db'}")
    kept = study._storage.get_study_system_attrs(study._study_id)
    notes = [str(text) for name, text in kept.items() if ":note_str:" in name and "isk " in str(text)]
    assert len(notes) == 2
    assert all("of being under the floor (lost" in note for note in notes)
