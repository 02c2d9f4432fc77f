from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import optuna
import pytest

from qspinn_optuna import (
    MemoryAwareSampler,
    QuantizationConfig,
    QuantizationObjective,
    QuantizationSpace,
    Rounding,
    Scheme,
    open_study,
    opening,
)
from qspinn_optuna.study import Baseline, accuracy_floor, baseline_of, check_settings
from tests.fake_workload import FakeWorkload, fake_space


class Described(FakeWorkload):
    """A workload with a given description."""

    def __init__(self, **description: Any) -> None:
        super().__init__()
        self.description = description

    def describe(self) -> Any:
        return self.description


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'studies.db'}"


def contents(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "studies.db") as connection:
        return list(connection.iterdump())


def test_a_study_is_made_then_opened_and_goes_on(tmp_path: Path) -> None:
    for trials in (3, 6):
        study = open_study("a", url(tmp_path), fake_space(), workload=Described(neurons=4))
        study.optimize(QuantizationObjective(Described(neurons=4), fake_space()), n_trials=3)
        assert len(study.trials) == trials
    assert study.metric_names == ["memory_kib", "accuracy"]


def test_another_version_of_the_package_is_told_and_the_study_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(opening._LOGGER, "warning", told.append)
    for now in ("0.1", "0.1", "0.9"):
        monkeypatch.setattr(importlib.metadata, "version", {"qspinn_optuna": now}.__getitem__)
        study = open_study("a", url(tmp_path), fake_space())
    assert len(told) == 1
    assert "0.1" in told[0]
    assert "0.9" in told[0]
    assert study.trials == []


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


@pytest.mark.parametrize(
    ("description", "got"), [({"network": object()}, "'network'"), ({"rate": float("nan")}, "nan"), ("fast", "str")]
)
def test_a_workload_that_does_not_describe_itself_by_plain_values_is_refused(description: Any, got: str) -> None:
    workload = Described()
    workload.description = description
    refused(TypeError, rf"^workload\.describe\(\).*got .*{got}", workload=workload)


@pytest.mark.parametrize("workload", [{"neurons": 4}, FakeWorkload.parameters, 3])
def test_what_does_not_describe_itself_is_not_a_workload(workload: Any) -> None:
    refused(TypeError, rf"^workload\b.*got {type(workload).__name__}", workload=workload)


@pytest.mark.parametrize("drop", [-0.1, 1.5, float("nan"), "0.01", True])
def test_a_drop_that_is_not_a_fraction_is_refused(drop: Any) -> None:
    refused(ValueError, rf"^accuracy_drop\b.*got {drop!r}", workload=FakeWorkload(), accuracy_drop=drop)


def test_a_drop_needs_a_workload() -> None:
    refused(TypeError, r"^accuracy_drop\b.*workload.*got 0\.01", accuracy_drop=0.01)


def test_the_study_keeps_its_baseline_and_floor(tmp_path: Path) -> None:
    study = open_study("a", url(tmp_path), fake_space(), workload=FakeWorkload(), accuracy_drop=0.05)
    for opened in (study, optuna.load_study(study_name="a", storage=url(tmp_path))):
        assert baseline_of(opened) == Baseline(FakeWorkload.baseline)
        assert accuracy_floor(opened) == FakeWorkload.baseline - 0.05


class Untrained(FakeWorkload):
    """A workload whose float network must not be trained."""

    @property
    def baseline(self) -> float:  # type: ignore[override]
        raise AssertionError("trained")


def test_a_study_that_knows_its_baseline_does_not_ask_for_it_again(tmp_path: Path) -> None:
    open_study("a", url(tmp_path), fake_space(), workload=FakeWorkload(), accuracy_drop=0.05)
    study = open_study("a", url(tmp_path), fake_space(), workload=Untrained(), accuracy_drop=0.1)
    assert accuracy_floor(study) == FakeWorkload.baseline - 0.1
    study = open_study("a", url(tmp_path), fake_space(), workload=Untrained())
    assert accuracy_floor(study) == FakeWorkload.baseline - 0.1


def test_a_floor_is_never_below_nothing() -> None:
    assert accuracy_floor(open_study("a", None, fake_space(), workload=FakeWorkload(), accuracy_drop=1.0)) == 0.0


@pytest.mark.parametrize("sampler", ["tpe", {"seed": 1}, MemoryAwareSampler])
def test_another_type_than_a_sampler_is_refused(sampler: Any) -> None:
    refused(TypeError, r"^sampler\b.*such as MemoryAwareSampler\(space\), got", sampler=sampler)


def test_a_sampler_of_another_space_is_refused() -> None:
    refused(ValueError, r"^sampler\b.*space", sampler=MemoryAwareSampler(fake_space((2, 7))))


def test_a_name_that_is_not_a_string_is_refused() -> None:
    refused(TypeError, r"^name\b.*got 3", name=3)


def refused(error: type[Exception], message: str, **arguments: Any) -> None:
    """Expect an error, and no new study."""
    storage = optuna.storages.InMemoryStorage()
    with pytest.raises(error, match=message):
        open_study(**{"name": "a", "storage": storage, "space": fake_space(), **arguments})
    assert not optuna.get_all_study_names(storage)


def test_an_objective_of_another_space_is_refused() -> None:
    study = open_study("a", None, fake_space((2, 8)), optuna.samplers.RandomSampler(seed=0))
    with pytest.raises(ValueError, match=r"^space\b.*study 'a'"):
        study.optimize(QuantizationObjective(FakeWorkload(), fake_space((2, 7))), n_trials=1)


def test_the_message_has_the_first_of_many_differences() -> None:
    storage = optuna.storages.InMemoryStorage()
    settings: dict[str, Any] = {f"setting {i}": i * "long" for i in range(8)}
    open_study("a", storage, fake_space(), workload=Described(**settings))
    with pytest.raises(ValueError, match=r"setting 0 was.*setting 4 was.*; and 3 more that differ\. ") as error:
        open_study("a", storage, fake_space(), workload=Described(**dict.fromkeys(settings, 100 * "longer")))
    assert len(str(error.value)) < 1_000


def forkserver() -> ForkServerContext:
    """Processes that import everything only once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def open_at_once(folder: Path, barrier: Barrier, names: Queue[str]) -> None:
    barrier.wait()
    names.put(open_study("a", url(folder), fake_space()).study_name)


def test_workers_may_open_a_new_study_in_a_new_database_at_the_same_moment(tmp_path: Path) -> None:
    context = forkserver()
    for attempt in range(2):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        barrier, names = context.Barrier(4), context.Queue()
        workers = [context.Process(target=open_at_once, args=(folder, barrier, names)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0] * 4
        assert optuna.get_all_study_names(url(folder)) == ["a"]


class Stopped(FakeWorkload):
    """A workload whose evaluations are stopped from outside."""

    def __init__(self, end: Callable[[], object]) -> None:
        super().__init__()
        self.end = end

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        del config, seed
        self.end()
        yield 1, 2


def interrupt() -> None:
    raise KeyboardInterrupt


def test_what_is_interrupted_by_hand_is_the_next_when_the_study_goes_on(tmp_path: Path) -> None:
    study = open_study("a", url(tmp_path), fake_space())
    with pytest.raises(KeyboardInterrupt):
        study.optimize(QuantizationObjective(Stopped(interrupt), fake_space()), n_trials=1)
    study = open_study("a", url(tmp_path), fake_space())
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space()), n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert study.trials[1].params == study.trials[0].params != study.trials[2].params


def test_what_is_interrupted_while_it_is_suggested_keeps_what_it_was_enqueued_with(tmp_path: Path) -> None:
    space = fake_space()
    study = open_study("a", url(tmp_path), space)
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=1)
    enqueued = dict(study.trials[0].params)
    study.enqueue_trial(enqueued)
    objective = QuantizationObjective(FakeWorkload(), space)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuantizationSpace, "suggest", lambda *_: interrupt())
        with pytest.raises(KeyboardInterrupt):
            study.optimize(objective, n_trials=1)
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=1)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert study.trials[2].params == enqueued


def run_until_killed(folder: Path) -> None:
    study = open_study("a", url(folder), fake_space())
    study.optimize(QuantizationObjective(Stopped(lambda: os._exit(9)), fake_space()), n_trials=1)


def test_a_trial_whose_process_was_killed_is_tried_again(tmp_path: Path) -> None:
    worker = forkserver().Process(target=run_until_killed, args=(tmp_path,))
    worker.start()
    worker.join()
    assert worker.exitcode == 9
    study = open_study("a", url(tmp_path), fake_space())
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space()), n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert study.trials[1].params == study.trials[0].params != study.trials[2].params


def test_readers_do_not_block_writers(tmp_path: Path) -> None:
    open_study("a", url(tmp_path), fake_space())
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_space_is_refused_and_the_study_left_as_it_was(tmp_path: Path) -> None:
    open_study("a", url(tmp_path), fake_space((2, 8)))
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"'a' began differently: space.*bits.weight was 2 to 8, now 2 to 7.*name"):
        open_study("a", url(tmp_path), fake_space((2, 7)))
    assert contents(tmp_path) == before


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    open_study("a", url(tmp_path), fake_space(), workload=Described(network={"neurons": 4}, seed=0))
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"workload\.network\.neurons was 4, now 5"):
        open_study("a", url(tmp_path), fake_space(), workload=Described(network={"neurons": 5}, seed=0))
    assert contents(tmp_path) == before


def test_another_way_to_draw_is_refused_where_the_space_offers_stochastic_rounding(tmp_path: Path) -> None:
    before, now = Described(seed=0), Described(seed=0, stochastic_rounding="keyed by sample")
    nearest = fake_space().restrict(roundings=[Rounding.NEAREST])
    open_study("nearest", url(tmp_path), nearest, workload=before)
    study = open_study("nearest", url(tmp_path), nearest, workload=now)
    check_settings(study, now.describe())
    study = open_study("all", url(tmp_path), fake_space(), workload=before)
    with pytest.raises(ValueError, match=r"workload\.stochastic_rounding was null, now \"keyed by sample\""):
        open_study("all", url(tmp_path), fake_space(), workload=now)
    with pytest.raises(ValueError, match=r"workload\.stochastic_rounding was null"):
        check_settings(study, now.describe())


@pytest.mark.parametrize("directions", [["maximize", "minimize"], ["minimize"], ["minimize", "minimize"]])
def test_other_directions_are_refused(tmp_path: Path, directions: Sequence[str]) -> None:
    optuna.create_study(storage=url(tmp_path), study_name="a", directions=list(directions))  # type: ignore[arg-type]
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=rf"got directions \['{directions[0]}'"):
        open_study("a", url(tmp_path), fake_space())
    assert contents(tmp_path) == before


def test_a_study_of_another_program_is_refused_unless_it_is_empty(tmp_path: Path) -> None:
    study = optuna.create_study(storage=url(tmp_path), study_name="a", directions=["minimize", "maximize"])
    open_study("a", url(tmp_path), fake_space())
    with pytest.raises(ValueError, match="began differently"):
        open_study("a", url(tmp_path), fake_space((2, 7)))
    study = optuna.create_study(storage=url(tmp_path), study_name="b", directions=["minimize", "maximize"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=1)
    with pytest.raises(ValueError, match="made by another program"):
        open_study("b", url(tmp_path), fake_space())


@pytest.mark.parametrize(
    "storage", ["sqlite:////no/such/folder/a.db", "nonsense", "oracel://a", "postgresql://localhost:1/a"]
)
def test_a_storage_that_cannot_be_opened_is_named(storage: str) -> None:
    with pytest.raises(ValueError, match=r"^storage\b.*got") as error:
        open_study("a", storage, fake_space())
    assert storage in str(error.value)


def test_a_file_that_is_not_a_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    path.write_text("my thesis\n" * 100)
    with pytest.raises(ValueError, match=r"^storage\b.*got"):
        open_study("a", url(tmp_path), fake_space())
    assert path.read_text() == "my thesis\n" * 100
