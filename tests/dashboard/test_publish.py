"""Publishing, tested against a running optuna-dashboard."""

from __future__ import annotations

import importlib
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import optuna_dashboard
import pytest

from qspinn_optuna import ParetoFront, QuantizationObjective, TradeOffSelector, open_study
from qspinn_optuna.dashboard import publish
from qspinn_optuna.parameters import format_kib
from qspinn_optuna.selection import recorded_choice
from qspinn_optuna.study import set_accuracy_floor
from tests.dashboard.published import FLOOR, NUMBER, finished_study, served
from tests.fake_workload import FakeWorkload, fake_space
from tests.test_fitting_front import model, study_of


@pytest.fixture(name="study")
def make_study() -> optuna.Study:
    return finished_study(optuna.storages.InMemoryStorage())


@pytest.fixture(name="url")
def serve(study: optuna.Study) -> Iterator[str]:
    with served(study) as url:
        yield url


def test_what_is_published_is_in_the_database(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    choice = publish(finished_study(storage))
    study = optuna.load_study(study_name="published", storage=storage)
    assert recorded_choice(study) == choice
    assert "The models of the front" in optuna_dashboard.get_note(study)


def fetch(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url) as answer:
        content: dict[str, Any] = json.load(answer)
    return content


def test_the_dashboard_serves_figures_and_notes(study: optuna.Study, url: str) -> None:
    front = ParetoFront.from_study(study)
    choice = TradeOffSelector(0.1).select(front)
    assert publish(study, choice, mu=0.1, command="python study.py --trials 20") == choice
    detail = fetch(f"{url}/api/studies/{NUMBER}")
    figures = {entry["id"]: json.loads(entry["graph_object"]) for entry in detail["plotly_graph_objects"]}
    assert set(figures) == {
        f"qspinn-{name}"
        for name in (
            "front",
            "bit-allocation",
            "devices",
            "footprint",
            "winner-by-mu",
            "hypervolume",
            "schemes-and-roundings",
            "significance",
        )
    }
    assert all(figure["data"] for figure in figures.values())
    titles = sorted(figure["layout"]["title"]["text"] for figure in figures.values())
    assert [title.partition(".")[0] for title in titles] == [str(number) for number in range(1, len(figures) + 1)]
    assert "accuracy against memory" in titles[0]
    note = detail["note"]["body"]
    assert f"trial {choice.trial_number}" in note
    assert "python study.py --trials 20" in note
    assert f"qspinn export --study {study.study_name} " in note
    assert f"{choice.compression:.1f}x smaller" in note
    assert f": {choice.candidate.flash_and_ram}." in note
    # The whole feasible front, which differs from the dashboard's own list.
    listed = [line.split("|")[1].strip(" *") for line in note.splitlines() if line.startswith("| ")]
    assert [int(cell) for cell in listed if cell.isdigit()] == [candidate.trial_number for candidate in front]
    assert all(candidate.accuracy >= FLOOR for candidate in front)


def test_trials_under_the_floor_are_greyed_out(study: optuna.Study, url: str) -> None:
    """The dashboard greys out trials with a positive entry in the list of constraints that it serves."""
    served = fetch(f"{url}/api/studies/{NUMBER}")["trials"]
    greyed = [any(value > 0 for value in trial["constraints"]) for trial in served]
    assert greyed == [trial.values[1] < FLOOR for trial in study.trials]
    assert 0 < sum(greyed) < len(greyed)


def test_every_finished_trial_has_its_footprint(study: optuna.Study, url: str) -> None:
    publish(study)
    for trial in fetch(f"{url}/api/studies/{NUMBER}")["trials"]:
        note = trial["note"]["body"]
        footprint = study.trials[trial["number"]].user_attrs["footprint"]
        assert f"**{footprint['kib']:.2f} KiB**" in note
        assert "`weight`" in note
        assert "`membrane`" in note
        bits = footprint["by_parameter"]
        assert f"Flash {format_kib(bits['weight'] / 8192)} KiB, RAM {format_kib(bits['membrane'] / 8192)} KiB." in note
        cells = {line.split("|")[1].strip(): line.split("|")[4].strip() for line in note.splitlines() if "`" in line}
        assert cells == {"`weight`": "flash", "`membrane`": "RAM"}


def test_trials_of_before_are_noted_with_what_the_space_tells() -> None:
    study = study_of([model(2, 3)], is_old=True)
    publish(study)
    notes = [str(value) for value in study._storage.get_study_system_attrs(study._study_id).values()]
    assert any("Flash 0.0015 KiB, RAM 0.0029 KiB." in note for note in notes)  # 12 and 24 bits


def test_of_many_trials_the_newest_and_the_front_have_notes(
    study: optuna.Study, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("qspinn_optuna.dashboard.publish"), "_NOTED", 2)
    publish(study)
    wanted = {10, 11} | {candidate.trial_number for candidate in ParetoFront.from_study(study)}
    detail = fetch(f"{url}/api/studies/{NUMBER}")
    assert {trial["number"] for trial in detail["trials"] if trial["note"]["body"]} == wanted
    assert len(wanted) < 12
    assert f"{len(wanted)} of 12 finished trials" in detail["note"]["body"]


def test_published_again_only_new_trials_are_noted(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """No note reads all that the study stores, which grows with every note."""
    space = fake_space()
    publish(study)
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=3)
    saved: list[Any] = []
    save, look = optuna_dashboard.save_note, study._storage.get_study_system_attrs
    looks: list[int] = []

    def save_note(study_or_trial: Any, body: str) -> None:
        saved.append(study_or_trial)
        before = len(looks)
        save(study_or_trial, body)
        if not isinstance(study_or_trial, optuna.Study):
            assert len(looks) == before

    def get_study_system_attrs(study_id: int) -> dict[str, Any]:
        looks.append(study_id)
        return look(study_id)

    monkeypatch.setattr(optuna_dashboard, "save_note", save_note)
    monkeypatch.setattr(study._storage, "get_study_system_attrs", get_study_system_attrs)
    publish(study)
    assert [entry._trial_id for entry in saved if not isinstance(entry, optuna.Study)] == [
        trial._trial_id for trial in study.trials[12:]
    ]


def test_the_chosen_trial_says_so_first_and_no_other_does(study: optuna.Study, url: str) -> None:
    front = ParetoFront.from_study(study)
    first, last = front.candidates[0].trial_number, front.candidates[-1].trial_number
    assert first != last
    publish(study, TradeOffSelector(100.0).select(front))
    publish(study, TradeOffSelector(0.0).select(front))
    notes = {trial["number"]: trial["note"]["body"] for trial in fetch(f"{url}/api/studies/{NUMBER}")["trials"]}
    assert [number for number, note in notes.items() if "**Chosen**" in note] == [last]
    assert notes[last].startswith("**Chosen**: ")
    assert all("KiB**" in note for note in notes.values())


def test_the_commands_of_the_note_run_as_they_stand(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    study = finished_study(storage)
    choice = publish(study, storage=storage)
    assert choice is not None
    code = optuna_dashboard.get_note(study).partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["config"] == choice.config


def test_a_note_shows_no_password(study: optuna.Study) -> None:
    publish(study, storage="postgresql://me:secret@host/studies")
    note = optuna_dashboard.get_note(study)
    assert "postgresql://me:***@host/studies" in note
    assert "secret" not in note


def test_published_again_what_people_wrote_stays(study: optuna.Study) -> None:
    optuna_dashboard.save_note(study, "My own remark.")
    publish(study)
    first = optuna_dashboard.get_note(study)
    assert first.startswith("My own remark.")
    optuna_dashboard.save_note(study, f"{first}\nAnother one.")
    front = ParetoFront.from_study(study)
    choice = TradeOffSelector(0.0).select(front)
    publish(study, choice)
    again = optuna_dashboard.get_note(study)
    assert again.startswith("My own remark.")
    assert again.endswith("Another one.")
    assert again.count("# The models of the front") == 1
    assert f"**trial {choice.trial_number}**" in again


def test_notes_of_trials_that_people_wrote_stay(study: optuna.Study, url: str) -> None:
    publish(study)
    detail = fetch(f"{url}/api/studies/{NUMBER}")
    first = detail["trials"][0]
    request = urllib.request.Request(
        f"{url}/api/studies/{NUMBER}/{first['trial_id']}/note",
        data=json.dumps({"body": "Mine.", "version": first["note"]["version"] + 1}).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request).close()
    publish(study)
    assert fetch(f"{url}/api/studies/{NUMBER}")["trials"][0]["note"]["body"] == "Mine."


def test_the_choice_is_kept_and_stays_until_another_is_given(study: optuna.Study) -> None:
    front = ParetoFront.from_study(study)
    choice = TradeOffSelector(0.0).select(front)
    publish(study, choice)
    assert recorded_choice(study) == choice
    assert publish(study) == choice


def test_without_a_feasible_trial_the_note_says_how_far_the_best_is(study: optuna.Study) -> None:
    set_accuracy_floor(study, 1.0)
    assert publish(study) is None
    assert "points under the accuracy floor" in optuna_dashboard.get_note(study)


def test_a_study_without_trials_is_refused(tmp_path: Path) -> None:
    study = open_study("empty", f"sqlite:///{tmp_path}/empty.db", fake_space())
    with pytest.raises(ValueError, match="'empty' has no finished trial"):
        publish(study)
    with pytest.raises(ValueError, match=r"got directions \['minimize'\]"):
        publish(optuna.create_study())
