from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest

from qspinn_optuna import MemoryAwareSampler, QuantizationObjective, QuantizationSpace, Rounding, Scheme, open_study
from tests.fake_workload import FakeWorkload, fake_space


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'studies.db'}"


def contents(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "studies.db") as connection:
        return list(connection.iterdump())


def test_a_study_is_made_then_opened_and_goes_on(tmp_path: Path) -> None:
    for trials in (3, 6):
        study = open_study("a", url(tmp_path), fake_space(), settings={"neurons": 4})
        study.optimize(QuantizationObjective(FakeWorkload(), fake_space()), n_trials=3)
        assert len(study.trials) == trials
    assert study.metric_names == ["memory_kib", "accuracy"]


def test_a_study_in_memory_needs_no_storage() -> None:
    study = open_study("a", None, fake_space())
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MAXIMIZE"]


def test_a_storage_object_is_taken_as_it_is() -> None:
    storage = optuna.storages.InMemoryStorage()
    open_study("a", storage, fake_space())
    assert optuna.get_all_study_names(storage) == ["a"]


def test_the_default_sampler_knows_memory() -> None:
    assert isinstance(open_study("a", None, fake_space()).sampler, MemoryAwareSampler)


def test_a_space_of_one_configuration_is_evaluated() -> None:
    space = QuantizationSpace(FakeWorkload().parameters, (4, 4), (Scheme.PTQ,), (Rounding.NEAREST,))
    study = open_study("a", None, space)
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=1)
    assert study.trials[0].params["bits.weight"] == 4


def test_settings_that_are_no_plain_values_are_refused_and_no_study_is_made() -> None:
    storage = optuna.storages.InMemoryStorage()
    with pytest.raises(TypeError, match=r"settings must be values that JSON can hold, got {'network'"):
        open_study("a", storage, fake_space(), settings={"network": object()})
    assert not optuna.get_all_study_names(storage)


def test_readers_do_not_block_writers(tmp_path: Path) -> None:
    open_study("a", url(tmp_path), fake_space())
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_space_is_refused_and_the_study_left_as_it_was(tmp_path: Path) -> None:
    open_study("a", url(tmp_path), fake_space((2, 8)))
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"'a' began differently: space.*bits.weight.*another study name"):
        open_study("a", url(tmp_path), fake_space((2, 7)))
    assert contents(tmp_path) == before


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    open_study("a", url(tmp_path), fake_space(), settings={"network": {"neurons": 4}, "seed": 0})
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"settings.network.neurons was 4, now 5"):
        open_study("a", url(tmp_path), fake_space(), settings={"network": {"neurons": 5}, "seed": 0})
    assert contents(tmp_path) == before


@pytest.mark.parametrize("directions", [["maximize", "minimize"], ["minimize"], ["minimize", "minimize"]])
def test_other_directions_are_refused(tmp_path: Path, directions: Sequence[str]) -> None:
    optuna.create_study(storage=url(tmp_path), study_name="a", directions=list(directions))  # type: ignore[arg-type]
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="must minimize memory and maximize accuracy"):
        open_study("a", url(tmp_path), fake_space())
    assert contents(tmp_path) == before


def test_a_study_of_another_program_is_refused(tmp_path: Path) -> None:
    optuna.create_study(storage=url(tmp_path), study_name="a", directions=["minimize", "maximize"])
    with pytest.raises(ValueError, match="made by another program"):
        open_study("a", url(tmp_path), fake_space())


@pytest.mark.parametrize(
    "storage", ["sqlite:////no/such/folder/a.db", "nonsense", "oracel://a", "postgresql://localhost:1/a"]
)
def test_a_storage_that_cannot_be_opened_is_named(storage: str) -> None:
    with pytest.raises(ValueError, match="storage must be the URL of a database") as error:
        open_study("a", storage, fake_space())
    assert storage in str(error.value)


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    path.write_text("my thesis\n" * 100)
    with pytest.raises(ValueError, match="storage must be the URL of a database"):
        open_study("a", url(tmp_path), fake_space())
    assert path.read_text() == "my thesis\n" * 100
