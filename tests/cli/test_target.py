"""``--target``: what is reported, chosen and searched for a device."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from qspinn_optuna import ParetoFront
from qspinn_optuna.cli import main
from qspinn_optuna.selection import recorded_choice
from tests.cli.fake_file import TEXT, asked, write_file
from tests.cli.test_commands import error_of, study_in

MEMBRANES = 10
WEIGHTS = 1_000

MIXED = """
def space(workload):
    from qspinn_optuna import QuantizationSpace
    return QuantizationSpace(workload.parameters, bits=(2, 9), schemes=["ptq"])
def first_trials(space):
    widths = [("nearest", 4, 9), ("stochastic", 5, 5), ("nearest", 6, 8), ("truncation", 9, 4)]
    return [{"scheme": "ptq", "rounding": r, "bits.fc.weight": w, "bits.lif.v": v} for r, w, v in widths]
"""
"""Four trials: with (flash, RAM) of 4,000 and 90, 5,000 and 50, 6,000 and 80, 9,000 and 40 bits."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study of these trials ran."""
    folder = tmp_path_factory.mktemp("finished")
    write_file(folder, TEXT + MIXED)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", "formula.py", "--trials", "4", "--accuracy-drop", "0.5", "--json", "report.json"]) == 0
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is the current one."""
    for path in finished.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "asked.txt").unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def target(flash_bits: float, ram_bits: float) -> list[str]:
    return ["--target", f"mine={flash_bits / 8192!r},{ram_bits / 8192!r}"]


def make_old(folder: Path) -> None:
    """Make the study one of before: without the memories of its trials, and a choice without flash and RAM."""

    def without(data: Any, *names: str) -> Any:
        if isinstance(data, dict):
            return {name: without(value, *names) for name, value in data.items() if name not in names}
        return [without(value, *names) for value in data] if isinstance(data, list) else data

    with sqlite3.connect(folder / "qspinn.db") as database:
        for table in ("trial_user_attributes", "study_user_attributes"):
            rows = database.execute(f"SELECT rowid, value_json FROM {table}").fetchall()
            for row, text in rows:
                old = json.dumps(without(json.loads(text), "memories", "flash_kib", "ram_kib"))
                database.execute(f"UPDATE {table} SET value_json = ? WHERE rowid = ?", (old, row))
    database.close()


def test_flash_and_ram_are_told_apart(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    choice = report["choice"]
    assert choice["flash_kib"] == WEIGHTS * choice["bits"]["fc.weight"] / 8192
    assert choice["ram_kib"] == MEMBRANES * choice["bits"]["lif.v"] / 8192
    assert choice["memory_kib"] == choice["flash_kib"] + choice["ram_kib"]
    assert "target" not in report


def test_show_tells_flash_and_ram_and_what_fits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "formula.py").unlink()
    assert main(["show", *target(5_500, 60), "--json", "shown.json"]) == 0
    shown = capsys.readouterr().out
    assert "  flash 0.49 KiB, RAM 0.011 KiB\n" in shown
    (line,) = (line for line in shown.splitlines() if "fit mine" in line)
    assert line == (
        "  does not fit mine: flash 0.49 of 0.671387 KiB (0.18 left), RAM 0.011 of 0.00732422 KiB (0.0037 too much); "
        "code and buffers come on top"
    )
    table = [row.split() for row in shown.splitlines() if " ptq " in row and row.strip()[:1].isdigit()]
    assert {row[0]: row[-1] for row in table} == {"0": "no", "1": "yes", "2": "no"}
    told = json.loads((folder / "shown.json").read_text())["target"]
    assert (told["name"], told["fits"], told["ram_left_kib"]) == ("mine", False, (60 - 90) / 8192)
    assert asked(folder) == []


def test_choose_keeps_the_smallest_that_fits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "formula.py").unlink()
    assert main(["choose", *target(9_000, 45), "--json", "chosen.json"]) == 0
    told = capsys.readouterr().out
    assert "of those that fit mine" in told
    assert "  fits mine: flash 1.10 of 1.09863 KiB (0.00 left)" in told
    choice = recorded_choice(study_in(folder))
    assert choice is not None
    assert choice.trial_number == 3
    assert json.loads((folder / "chosen.json").read_text())["target"]["fits"] is True


def test_a_device_without_draws_gets_no_stochastic_rounding(folder: Path) -> None:
    assert main(["choose", "--within", "0.9", *target(5_999, 60)]) == 0
    choice = recorded_choice(study_in(folder))
    assert choice is not None
    assert choice.trial_number == 1
    assert main(["choose", "--budget-kib", "0.65", "--target", "ATmega328P"]) == 0
    choice = recorded_choice(study_in(folder))
    assert choice is not None
    assert choice.trial_number == 0


def test_a_choice_that_is_not_on_the_front_of_all_models_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "formula.py").unlink()
    # Trial 2 is smaller and more accurate than trial 3, but needs more RAM.
    assert main(["choose", *target(9_000, 45)]) == 0
    told = capsys.readouterr().out
    assert 3 not in {candidate.trial_number for candidate in ParetoFront.from_study(study_in(folder))}
    assert "not on the front above" in told
    assert "trial 3: " in told
    assert main(["publish"]) == 0


def test_nothing_that_fits_is_one_line_with_the_least_that_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = recorded_choice(study_in(folder))
    line = error_of(capsys, "choose", *target(3_000, 100), "--accuracy-drop", "0.6", code=1)
    assert "the least is what trial 0 needs, 0.49 KiB of flash and 0.011 KiB of RAM" in line
    assert recorded_choice(study_in(folder)) == before


def test_a_study_of_before_still_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", *target(5_500, 60), "--json", "new.json"]) == 0
    new = capsys.readouterr().out
    make_old(folder)
    assert "memories" not in study_in(folder).trials[0].user_attrs["footprint"]
    assert main(["show", *target(5_500, 60), "--json", "old.json"]) == 0
    assert capsys.readouterr().out == new
    assert json.loads((folder / "old.json").read_text()) == json.loads((folder / "new.json").read_text())
    assert main(["choose", *target(9_000, 45)]) == 0
    assert main(["publish"]) == 0
    assert main(["run", "formula.py", "--trials", "1", "--accuracy-drop", "0.5"]) == 0


def test_a_run_for_a_device_searches_what_it_can_do_and_chooses_what_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path, TEXT + MIXED)
    run = ["run", "formula.py", "--trials", "4", "--accuracy-drop", "0.5", "--target", "atmega328p"]
    assert main(run) == 0
    trials = study_in(tmp_path).trials
    assert [trial.params["bits.fc.weight"] for trial in trials[:3]] == [4, 6, 9]
    found: set[Any] = {trial.distributions["rounding"] for trial in trials}
    assert {distribution.choices for distribution in found} == {("truncation", "nearest")}
    assert "fits ATmega328P: " in capsys.readouterr().out
    # The options are kept: a trial is evaluated in the same space.
    assert main(["evaluate", "--trial", "0"]) == 0
    assert main([*run[:3], "0", *run[4:]]) == 0
    line = error_of(capsys, *run, "--study", "other", "--roundings", "stochastic", code=2)
    assert "ATmega328P can round by truncation or nearest, and the search by stochastic" in line


@pytest.mark.parametrize("name", ["Z80", "mine=64", "mine=64,0", "mine=-1,8", "mine=a,b", "=64,8", "mine=1,nan", ""])
def test_an_impossible_device_is_refused_before_anything_is_done(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for command in (["show"], ["choose"], ["run", "formula.py"]):
        line = error_of(capsys, *command, "--target", name, code=2)
        assert "--target must be one of ATmega328P, " in line
        assert "NAME=FLASH,RAM in KiB" in line
        assert line.endswith(f"got {name}".rstrip())
    assert asked(folder) == []
