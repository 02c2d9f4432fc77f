"""Where every configuration has been suggested."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from qspinn_optuna import QuantizationObjective, QuantizationSpace, Rounding, Scheme
from qspinn_optuna.sampler import KnownObjectiveSampler, MemoryAwareSampler, SpaceExhausted
from tests.fake_workload import FakeWorkload
from tests.sampler.problems import SMALL, TWELVE, Objective, all_different, cost, make_study, suggest

MESSAGE = r"All 12 configurations .* widen the space"


def exhausted() -> optuna.Study:
    study = make_study(KnownObjectiveSampler(TWELVE, cost, seed=0))
    study.optimize(Objective(TWELVE), n_trials=12)
    return study


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_optimization_ends_when_all_is_seen(jobs: int) -> None:
    study = make_study(KnownObjectiveSampler(TWELVE, cost, seed=0))
    study.optimize(Objective(TWELVE), n_trials=1_000, n_jobs=jobs)
    complete = study.get_trials(states=[TrialState.COMPLETE])
    assert len(complete) == 12
    assert all_different(complete)
    # Of several threads each may ask once more before it is told to stop.
    assert len(study.trials) <= (12 if jobs == 1 else 12 + jobs)


def test_a_study_that_is_exhausted_ends_at_once() -> None:
    study = exhausted()
    study.optimize(Objective(TWELVE), n_trials=1_000)
    assert [trial.state for trial in study.trials[12:]] == [TrialState.PRUNED]


def test_beside_an_optimization_an_exhausted_space_raises() -> None:
    study = exhausted()
    with pytest.raises(SpaceExhausted, match=MESSAGE):
        suggest(study.ask(), TWELVE)
    with pytest.raises(SpaceExhausted, match=MESSAGE):
        study.ask(TWELVE)
    study.tell(len(study.trials) - 1, state=TrialState.PRUNED)
    assert study.trials[-1].state is TrialState.PRUNED


def test_the_end_is_told(caplog: pytest.LogCaptureFixture) -> None:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    optuna.logging.enable_propagation()
    try:
        study = exhausted()
    finally:
        optuna.logging.disable_propagation()
        optuna.logging.set_verbosity(verbosity)
    assert len(study.trials) == 12
    assert "All 12 configurations of the search space have been suggested: the optimization ends." in caplog.messages


def test_with_parameters_of_others_configurations_are_repeated() -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        rate = trial.suggest_float("rate", 0, 1)
        values = Objective(TWELVE)(trial)
        return values[0], values[1] * rate

    study = make_study(KnownObjectiveSampler(TWELVE, cost, seed=0))
    study.optimize(objective, n_trials=30)
    own = [{name: trial.params[name] for name in TWELVE} for trial in study.trials]
    assert len(own) == 30
    assert len({tuple(params.values()) for params in own[:12]}) == 12
    assert len({trial.params["rate"] for trial in study.trials}) == 30


@pytest.mark.filterwarnings("ignore:PartialFixedSampler is experimental")
def test_what_is_left_beside_fixed_parameters_is_searched_to_its_end() -> None:
    sampler = KnownObjectiveSampler(SMALL, cost, seed=0)
    study = make_study(sampler)
    study.optimize(Objective(SMALL), n_trials=30)
    study.sampler = optuna.samplers.PartialFixedSampler({"x": 3, "kind": "b", "not of the space": 1}, sampler)
    study.optimize(Objective(SMALL), n_trials=200)
    assert all_different(study.trials)
    fixed = [(trial.params["x"], trial.params["kind"]) == (3, "b") for trial in study.trials]
    assert all(fixed[30:])
    assert sum(fixed) == 7 * 7 * 2
    with pytest.raises(SpaceExhausted, match="All 98 configurations"):
        suggest(study.ask(), SMALL)
    # Without what was fixed there is more to find.
    before = len(study.trials)
    study.sampler = sampler
    study.optimize(Objective(SMALL), n_trials=20)
    assert len(study.trials) == before + 20
    assert {trial.params["x"] for trial in study.trials[-20:]} != {3}


def test_asking_and_telling_gives_every_configuration() -> None:
    study = make_study(KnownObjectiveSampler(TWELVE, cost, seed=0))
    for _ in range(12):
        trial = study.ask(TWELVE)
        study.tell(trial, (cost(trial.params), 1.0))
    assert all_different(study.trials)


def test_what_is_enqueued_is_run_although_all_is_seen() -> None:
    study = exhausted()
    for _ in range(3):
        study.enqueue_trial({"width": 1, "kind": "b"})
    study.optimize(Objective(TWELVE), n_trials=3)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 15


def test_a_quantization_space_is_searched_to_its_end() -> None:
    space = QuantizationSpace(FakeWorkload.parameters, (2, 3), [Scheme.PTQ], list(Rounding))
    study = make_study(MemoryAwareSampler(space, seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=100)
    assert len(study.trials) == space.cardinality == 4 * len(Rounding)
    assert all_different(study.trials)


def test_failed_trials_count_as_seen() -> None:
    def fail(trial: optuna.Trial) -> tuple[float, float]:
        suggest(trial, TWELVE)
        raise RuntimeError

    study = make_study(KnownObjectiveSampler(TWELVE, cost, seed=0))
    study.optimize(fail, n_trials=100, catch=RuntimeError)
    assert len(study.trials) == 12
