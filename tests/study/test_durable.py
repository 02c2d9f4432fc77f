"""What a study on a durable storage sees, and what it costs."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.distributions import IntDistribution
from optuna.storages import InMemoryStorage, RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna import MemoryAwareSampler, QuantizationObjective, open_study
from qspinn_optuna.study import DIRECTIONS, DurableStorage, durable, open_storage
from qspinn_optuna.study.storage.pulse import Pulse
from tests.fake_workload import FakeWorkload, fake_space
from tests.study.flaky import FlakyStorage

COMMITS = 6
"""Commits a trial at most; Optuna alone needs 25."""


@pytest.fixture
def backend() -> FlakyStorage:
    return FlakyStorage()


@pytest.fixture
def study(backend: FlakyStorage, monkeypatch: pytest.MonkeyPatch) -> optuna.Study:
    # Nothing is written by time.
    monkeypatch.setattr(Pulse, "start", lambda _: None)
    return optuna.create_study(storage=DurableStorage(backend, interval=1e6, delay=1e6), directions=DIRECTIONS)


@contextmanager
def counted_commits(engine: sqlalchemy.Engine) -> Iterator[list[str]]:
    """The transactions that have written something."""
    written: dict[object, str] = {}
    commits: list[str] = []

    def execute(connection: sqlalchemy.Connection, _: object, statement: str, *__: object) -> None:
        if statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
            written[connection] = statement

    def commit(connection: sqlalchemy.Connection) -> None:
        if connection in written:
            commits.append(written.pop(connection))

    sqlalchemy.event.listen(engine, "before_cursor_execute", execute)
    sqlalchemy.event.listen(engine, "commit", commit)
    yield commits
    sqlalchemy.event.remove(engine, "before_cursor_execute", execute)
    sqlalchemy.event.remove(engine, "commit", commit)


def test_few_commits_a_trial(tmp_path: Path) -> None:
    backend = RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")
    space, workload = fake_space(), FakeWorkload()
    sampler = MemoryAwareSampler(space, seed=0)
    study = open_study("a", backend, space, sampler, workload, accuracy_drop=0.05)
    objective = QuantizationObjective(workload, space)
    study.optimize(objective, n_trials=1)
    with counted_commits(backend.engine) as commits:
        study.optimize(objective, n_trials=10)
    assert len(study.trials) == 11
    assert 0 < len(commits) <= COMMITS * 10


def test_its_own_process_sees_all_of_a_running_trial_and_others_see_what_is_written(
    backend: FlakyStorage, study: optuna.Study
) -> None:
    trial = study.ask()
    trial.suggest_int("number", 0, 10)
    trial.set_user_attr("pair", (1, 2))
    seen = study.trials[0]
    assert seen.params == trial.params
    assert seen.user_attrs == {"pair": [1, 2]}
    before = backend.get_trial(0)
    assert (before.params, before.user_attrs) == ({}, {})
    study._storage.set_trial_system_attr(0, "claim", 3)
    after = backend.get_trial(0)
    assert (after.params, after.user_attrs, after.system_attrs["claim"]) == (seen.params, seen.user_attrs, 3)
    study.tell(trial, [1.0, 2.0])
    assert backend.get_trial(0).values == [1.0, 2.0]


def test_what_was_read_does_not_change_afterwards(study: optuna.Study) -> None:
    trial = study.ask()
    (read,) = study.get_trials(deepcopy=False)
    trial.set_user_attr("a", 1)
    assert read.user_attrs == {}


def test_what_waits_is_written_after_a_while(backend: FlakyStorage) -> None:
    storage = DurableStorage(backend, interval=0.05, delay=0.02)
    study = optuna.create_study(storage=storage, directions=DIRECTIONS)
    trial = study.ask()
    trial.set_user_attr("a", 1)
    beat = backend.get_trial(0).system_attrs["qspinn:lease"]["beat"]
    for _ in range(200):
        stored = backend.get_trial(0)
        if stored.user_attrs and stored.system_attrs["qspinn:lease"]["beat"] > beat:
            break
        time.sleep(0.02)
    assert stored.user_attrs == {"a": 1}
    assert stored.system_attrs["qspinn:lease"]["beat"] > beat


def test_what_was_drawn_is_written_in_a_moment(backend: FlakyStorage) -> None:
    storage = DurableStorage(backend, interval=1e6, delay=1e6)
    trial = optuna.create_study(storage=storage, directions=DIRECTIONS).ask()
    number = trial.suggest_int("number", 0, 10_000)
    for _ in range(200):
        if backend.get_trial(0).params:
            break
        time.sleep(0.02)
    assert backend.get_trial(0).params == {"number": number}


def test_distributions_that_earlier_trials_do_not_allow_are_refused_when_they_are_set(study: optuna.Study) -> None:
    study.optimize(lambda trial: (trial.suggest_int("x", 0, 3), 1.0), n_trials=1)
    again = optuna.load_study(study_name=study.study_name, storage=study._storage)
    with pytest.raises(ValueError, match="distribution"):
        again.ask().suggest_categorical("x", ["a", "b"])


def test_values_that_no_storage_can_hold_are_refused_when_they_are_set(study: optuna.Study) -> None:
    with pytest.raises(TypeError, match="JSON"):
        study.ask().set_user_attr("a", object())


def test_threads_share_it(study: optuna.Study) -> None:
    def evaluate(trial: optuna.Trial) -> tuple[float, float]:
        number = trial.suggest_int("number", 0, 10_000)
        trial.set_user_attr("twice", 2 * number)
        return number, number

    study.optimize(evaluate, n_trials=40, n_jobs=4)
    assert [trial.number for trial in study.trials] == list(range(40))
    assert all(trial.values == [trial.params["number"]] * 2 for trial in study.trials)
    assert all(trial.user_attrs["twice"] == 2 * trial.params["number"] for trial in study.trials)


def test_enqueued_trials_are_taken_by_one_of_many_and_have_leases(backend: FlakyStorage, study: optuna.Study) -> None:
    study.enqueue_trial({"x": 1})
    other = optuna.load_study(study_name=study.study_name, storage=DurableStorage(backend))
    assert (study.ask().number, other.ask().number) == (0, 1)
    tokens = {trial.system_attrs["qspinn:lease"]["token"] for trial in backend.get_all_trials(0)}
    assert len(tokens) == 2


def test_a_result_that_somebody_else_told_is_not_overwritten(backend: FlakyStorage, study: optuna.Study) -> None:
    trial = study.ask()
    backend.set_trial_state_values(0, TrialState.COMPLETE, [1.0, 1.0])
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        study.tell(trial, [2.0, 2.0])
    assert study.trials[0].values == [1.0, 1.0]


def test_pruned_late_results_keep_what_they_have(backend: FlakyStorage) -> None:
    storage = DurableStorage(backend, interval=1e6, delay=1e6)
    study = optuna.create_study(storage=storage, direction="minimize")
    trial = study.ask()
    trial.suggest_int("x", 0, 3)
    trial.report(0.25, 7)
    trial.set_constraint("c", -1.0)
    backend.set_trial_state_values(0, TrialState.FAIL)
    study.tell(trial, state=TrialState.PRUNED)
    late = backend.get_all_trials(0)[1]
    assert (late.state, late.params, late.intermediate_values) == (TrialState.PRUNED, trial.params, {7: 0.25})
    assert late.constraints == {"c": -1.0}
    assert storage.get_trial(0).number == 1


def test_what_is_in_memory_or_durable_stays_as_it_is(tmp_path: Path) -> None:
    memory = InMemoryStorage()
    assert durable(memory) is memory
    storage = open_storage(f"sqlite:///{tmp_path / 'studies.db'}")
    assert isinstance(storage, DurableStorage)
    assert durable(storage) is storage
    assert isinstance(durable(RDBStorage(f"sqlite:///{tmp_path / 'others.db'}")), DurableStorage)
    assert not isinstance(open_storage("sqlite://"), DurableStorage)
    assert not isinstance(durable(get_storage("sqlite:///:memory:")), DurableStorage)


def test_a_copy_for_another_process_has_the_studies_and_the_settings(tmp_path: Path) -> None:
    backend = RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")
    storage = DurableStorage(backend, patience=7)
    optuna.create_study(study_name="a", storage=storage)
    copied = pickle.loads(pickle.dumps(storage))
    assert optuna.get_all_study_names(copied) == ["a"]
    assert copied._patience.seconds == 7


def test_trials_made_elsewhere_are_added_as_they_are(study: optuna.Study) -> None:
    made: FrozenTrial = optuna.create_trial(
        values=[1.0, 2.0], params={"x": 3}, distributions={"x": IntDistribution(0, 5)}, user_attrs={"a": 1}
    )
    study.add_trial(made)
    (added,) = study.trials
    assert (added.state, added.values, added.params, added.user_attrs) == (made.state, made.values, {"x": 3}, {"a": 1})
