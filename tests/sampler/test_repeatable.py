"""A study that is stopped and continued has the trials of an undisturbed one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from qspinn_optuna import MemoryAwareSampler, QuantizationConfig, QuantizationObjective, QuantizationSpace
from qspinn_optuna.opening import open_study
from qspinn_optuna.sampler import KnownObjectiveSampler
from qspinn_optuna.sampler.by_name import SAMPLERS, make_sampler
from qspinn_optuna.study import Sensitivity, enqueue_interrupted, record_sensitivity
from tests.fake_workload import FakeWorkload, fake_space
from tests.sampler.problems import MIXED, Objective, cost, make_study

SPACE = fake_space((2, 24))

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


class Interrupted(FakeWorkload):
    """A workload whose evaluations of some numbers are interrupted by hand."""

    def __init__(self, at: Sequence[int]) -> None:
        super().__init__()
        self.at = at

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[tuple[int, int]]:
        for step in super().evaluate(config, seed):
            yield step
            if len(self.evaluated) - 1 in self.at:
                raise KeyboardInterrupt


def completed(study: optuna.Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials if trial.state is TrialState.COMPLETE]


def queue_some(study: optuna.Study) -> None:
    """Two whole configurations, and half of one."""
    for bits in (5, 3):
        study.enqueue_trial(SPACE.params(SPACE.uniform(bits, SPACE.schemes[0], SPACE.roundings[0])))
    study.enqueue_trial({"scheme": "ptq"})


def run(
    name: str,
    trials: int,
    stops: Sequence[int] = (),
    interruptions: Sequence[int] = (),
    storage: Callable[[], Any] | None = None,
    begin: Callable[[optuna.Study], object] = lambda _: None,
) -> list[dict[str, Any]]:
    """The configurations of a study that is stopped after ``stops`` trials, each time with a new sampler."""
    kept = optuna.storages.InMemoryStorage()
    workload = Interrupted(interruptions)
    while True:
        study = open_study("a", storage() if storage else kept, SPACE, make_sampler(name, SPACE, 3))
        if not study.trials:
            begin(study)
        done = len(completed(study))
        if done == trials:
            return completed(study)
        end = min(stop for stop in (*stops, trials) if stop > done)
        try:
            study.optimize(QuantizationObjective(workload, SPACE), n_trials=end - done)
        except KeyboardInterrupt:
            continue


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "gp"])
def test_a_stopped_study_goes_on_as_if_it_had_not_been_stopped(name: str) -> None:
    # A milestone of the memory-aware sampler has several fits from 13 observations on; a generation of NSGA-II is 20.
    trials = {"nsgaii": 45, "memory-aware": 26}.get(name, 25)
    undisturbed = run(name, trials)
    assert len({str(sorted(params.items())) for params in undisturbed}) > 0.8 * trials
    assert run(name, trials, stops=range(1, trials, 4)) == undisturbed


def test_a_stopped_study_with_a_sensitivity_goes_on_as_if_it_had_not_been_stopped() -> None:
    def tell(study: optuna.Study) -> None:
        record_sensitivity(study, Sensitivity({"weight": {2: 0.6, 3: 0.2}, "membrane": {2: 0.1}}))

    undisturbed = run("memory-aware", 16, begin=tell)
    assert undisturbed != run("memory-aware", 16)
    assert run("memory-aware", 16, stops=range(1, 16, 3), begin=tell) == undisturbed


def test_a_gaussian_process_goes_on_as_if_it_had_not_been_stopped() -> None:
    assert run("gp", 11, stops=[10]) == run("gp", 11)


@pytest.mark.parametrize("name", ["memory-aware", "tpe"])
def test_a_study_in_a_database_does_so_too(name: str, tmp_path: Path) -> None:
    def storage() -> str:
        return f"sqlite:///{tmp_path / 'studies.db'}"

    assert run(name, 12, stops=[1, 10], storage=storage) == run(name, 12)


@pytest.mark.parametrize("name", ["memory-aware", "tpe", "nsgaii", "random"])
def test_interrupted_trials_change_nothing(name: str) -> None:
    # The first one again at once, so that an attempt after an interrupted one is interrupted, too.
    assert run(name, 24, interruptions=[0, 1, 9, 22]) == run(name, 24)


@pytest.mark.parametrize("name", ["memory-aware", "tpe", "random"])
def test_queued_trials_change_nothing(name: str) -> None:
    undisturbed = run(name, 16, begin=queue_some)
    assert run(name, 16, stops=[1, 2, 4, 12], begin=queue_some) == undisturbed
    # What is interrupted before the queue ends is tried again after it.
    disturbed = run(name, 16, interruptions=[9], begin=queue_some)
    assert disturbed == undisturbed


def test_what_is_interrupted_while_it_is_suggested_is_suggested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = run("memory-aware", 12)
    study = open_study("a", None, SPACE, make_sampler("memory-aware", SPACE, 3))
    objective = QuantizationObjective(FakeWorkload(), SPACE)
    study.optimize(objective, n_trials=9)

    suggest = QuantizationSpace.suggest

    def interrupted(_: QuantizationSpace, trial: optuna.Trial) -> QuantizationConfig:
        trial.suggest_categorical("scheme", [scheme.value for scheme in SPACE.schemes])
        raise KeyboardInterrupt

    monkeypatch.setattr(QuantizationSpace, "suggest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=1)
    monkeypatch.setattr(QuantizationSpace, "suggest", suggest)
    study.sampler = make_sampler("memory-aware", SPACE, 3)
    study.optimize(objective, n_trials=3)
    assert completed(study) == undisturbed


def test_a_script_that_optimizes_twice_does_what_one_does_that_optimizes_once() -> None:
    def made() -> optuna.Study:
        return open_study("a", None, SPACE, sampler=MemoryAwareSampler(SPACE, seed=0))

    objective = QuantizationObjective(FakeWorkload(), SPACE)
    once, twice = made(), made()
    once.optimize(objective, n_trials=15)
    twice.optimize(objective, n_trials=7)
    twice.sampler = MemoryAwareSampler(SPACE, seed=0)
    twice.optimize(objective, n_trials=8)
    assert completed(once) == completed(twice)


def test_constraints_and_parameters_outside_of_the_search_space_go_on_too() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        values = Objective(MIXED)(trial)
        trial.set_constraint("rate", trial.suggest_float("rate", 0, 1) - 0.7)
        trial.suggest_float("other rate", 0, 1)
        return values

    def sampler() -> KnownObjectiveSampler:
        return KnownObjectiveSampler(MIXED, cost, seed=0)

    once, often = make_study(sampler()), make_study(sampler())
    once.optimize(objective, n_trials=16)
    for trials in (3, 6, 7):
        often.sampler = sampler()
        often.optimize(objective, n_trials=trials)
    assert completed(once) == completed(often)
    assert len({trial.params["rate"] for trial in once.trials}) == 16
    assert all(trial.params["rate"] != trial.params["other rate"] for trial in once.trials)


@pytest.mark.parametrize("name", ["memory-aware", "random"])
def test_a_failure_is_no_interruption_and_other_draws_follow(name: str) -> None:
    study = open_study("a", None, SPACE, make_sampler(name, SPACE, 0))
    for _ in range(9):
        study.tell(asked(study), state=TrialState.FAIL)
    assert len({str(trial.params) for trial in study.trials}) == 9


@pytest.mark.parametrize("name", ["memory-aware", "random"])
def test_several_workers_of_one_seed_draw_other_configurations(name: str) -> None:
    storage = optuna.storages.InMemoryStorage()
    workers = [open_study("a", storage, SPACE, make_sampler(name, SPACE, 0)) for _ in range(2)]
    for number in range(16):
        asked(workers[number % 2])
    assert len({str(trial.params) for trial in workers[0].trials}) == 16


def asked(study: optuna.Study) -> optuna.Trial:
    trial = study.ask()
    SPACE.suggest(trial)
    return trial


def test_a_copy_that_is_reseeded_draws_something_else() -> None:
    def drawn(sampler: BaseSampler) -> dict[str, Any]:
        return asked(open_study("a", None, SPACE, sampler)).params

    sampler, reseeded = make_sampler("random", SPACE, 0), make_sampler("random", SPACE, 0)
    assert drawn(sampler) == drawn(reseeded)
    reseeded.reseed_rng()
    assert drawn(sampler) != drawn(reseeded)
    assert drawn(reseeded) == drawn(reseeded)


def test_a_retry_of_a_retry_has_the_draws_of_the_first_attempt() -> None:
    study = open_study("a", None, SPACE, make_sampler("random", SPACE, 0))
    for _ in range(3):
        trial = study.ask()
        enqueue_interrupted(trial)
        study.tell(trial, state=TrialState.FAIL)
    undisturbed = open_study("b", None, SPACE, make_sampler("random", SPACE, 0))
    assert [asked(study).params for _ in range(2)] == [asked(undisturbed).params for _ in range(2)]
