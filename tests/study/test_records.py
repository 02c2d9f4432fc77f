"""Records of trials read what was written, and studies store their own facts."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from qspinn_optuna import QuantizationConfig, QuantizationObjective, Rounding, Scheme, TrainingProgress, open_study
from qspinn_optuna.study import (
    DIRECTIONS,
    Baseline,
    Counts,
    FootprintRecord,
    Source,
    Stage,
    TrialRecord,
    accuracies_on_test,
    accuracy_floor,
    attributes_of,
    baseline_of,
    is_feasible,
    record_baseline,
    record_progress,
    record_pruning,
    record_refusal,
    record_source,
    record_test_accuracy,
    set_accuracy_floor,
    source_of,
)
from tests.fake_workload import SEEN, FakeWorkload, fake_space

SPACE = fake_space()
CONFIG: QuantizationConfig = SPACE.uniform(4, Scheme.ITQ, Rounding.STOCHASTIC)


def make_study() -> optuna.Study:
    return optuna.create_study(directions=DIRECTIONS, sampler=optuna.samplers.RandomSampler(seed=0))


def test_the_record_of_a_finished_trial_has_all_of_it() -> None:
    study, workload = make_study(), FakeWorkload()
    study.enqueue_trial(SPACE.params(CONFIG))
    study.optimize(QuantizationObjective(workload, SPACE, seed=3), n_trials=1)
    record = TrialRecord(study.trials[0])
    *_, (correct, seen) = FakeWorkload().evaluate(CONFIG, 3)
    assert (record.number, record.config, record.seed) == (0, CONFIG, 3)
    assert record.counts == Counts(correct, seen)
    assert record.samples == SEEN
    assert record.footprint == FootprintRecord.of(SPACE.footprint(CONFIG))
    assert (record.memory_kib, record.accuracy) == (SPACE.footprint(CONFIG).kib, correct / seen)
    assert record.params == study.trials[0].params
    assert record.is_complete
    assert record.seconds is not None
    assert record.progress == ()
    absent = (record.duplicate_of, record.refused, record.pruned_at, record.pruned_because)
    assert absent == (None, None, None, None)


def test_the_record_of_a_foreign_trial_is_empty() -> None:
    record = TrialRecord(create_trial(values=[1.0, 0.5]))
    assert (record.config, record.footprint, record.counts, record.samples, record.seed) == (None,) * 5
    assert not record.is_complete


def test_what_happens_to_a_running_trial_is_kept() -> None:
    study = make_study()
    trial = study.ask()
    first, second = TrainingProgress(0.25, 5, 10), TrainingProgress(0.5, 6, 10)
    assert record_progress(trial, first) == (first,)
    assert record_progress(trial, second) == (first, second)
    record_pruning(trial, Stage.TRAINING, "too low")
    record_refusal(trial, "sums take 30 bits")
    study.tell(trial, state=TrialState.PRUNED)
    record = TrialRecord(study.trials[0])
    assert (record.progress, record.pruned_at, record.pruned_because) == ((first, second), Stage.TRAINING, "too low")
    assert record.refused == "sums take 30 bits"


def test_attributes_make_a_trial_that_was_evaluated_elsewhere() -> None:
    footprint = FootprintRecord.of(SPACE.footprint(CONFIG))
    trial = create_trial(values=[1.0, 0.5], user_attrs=attributes_of(CONFIG, footprint, counts=Counts(1, 2), seed=7))
    record = TrialRecord(trial)
    assert (record.config, record.footprint, record.counts, record.seed) == (CONFIG, footprint, Counts(1, 2), 7)


@pytest.mark.parametrize("counts", [{"correct": 1}, {"seen": 2}, {"correct": 3, "seen": 2}, {"correct": 0, "seen": 0}])
def test_impossible_counts_are_none(counts: dict[str, int]) -> None:
    assert TrialRecord(create_trial(values=[1.0, 0.5], user_attrs=counts)).counts is None


def test_a_study_keeps_its_facts_in_its_storage(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    study = open_study("a", url, SPACE)
    assert (baseline_of(study), accuracy_floor(study), source_of(study), accuracies_on_test(study)) == (
        None,
        None,
        None,
        {},
    )
    record_baseline(study, Baseline(0.9))
    record_baseline(study, Baseline(0.9, 0.89))
    set_accuracy_floor(study, 0.88)
    record_source(study, "network.py", ["--neurons", "20"])
    record_test_accuracy(study, 3, 0.87)
    record_test_accuracy(study, 5, 0.86)
    again = optuna.load_study(study_name="a", storage=url)
    assert baseline_of(again) == Baseline(0.9, 0.89)
    assert accuracy_floor(again) == 0.88
    assert source_of(again) == Source("network.py", ("--neurons", "20"))
    assert accuracies_on_test(again) == {3: 0.87, 5: 0.86}


def test_a_floor_that_is_set_later_holds_for_finished_trials_too() -> None:
    low = create_trial(values=[1.0, 0.5], constraints={"accuracy_floor": -0.1})
    assert is_feasible(low, None)
    assert is_feasible(low, 0.5)
    assert not is_feasible(low, 0.6)
    # The older list that dashboards read is the same as the constraint of the floor, and as stale.
    high = create_trial(values=[1.0, 0.9], constraints={"accuracy_floor": 0.05}, system_attrs={"constraints": [0.05]})
    assert not is_feasible(high, None)
    assert is_feasible(high, 0.9)
