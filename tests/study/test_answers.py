"""Which samples are right: stored with trials and studies, a bit each, and never those of another attempt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from qspinn_optuna import (
    FrontPruner,
    QuantizationConfig,
    QuantizationObjective,
    Rounding,
    Scheme,
    open_study,
)
from qspinn_optuna.study import (
    TrialRecord,
    baseline_of,
    baseline_right_of,
    enqueue_interrupted,
    packed,
    set_accuracy_floor,
    unpacked,
)
from qspinn_optuna.workloads import Answers
from tests.fake_workload import SEEN, AnsweringWorkload, FakeWorkload, fake_space

SPACE = fake_space()


def configs(*bits: int) -> list[QuantizationConfig]:
    return [SPACE.uniform(each, Scheme.PTQ, Rounding.NEAREST) for each in bits]


@given(st.lists(st.booleans(), max_size=70))
def test_packed_answers_are_the_same_unpacked(right: list[bool]) -> None:
    kept = packed(np.array(right, bool))
    assert len(kept["right"]) <= 4 * -(-len(right) // 24) + 4
    found = unpacked(kept)
    assert found is not None
    assert found.tolist() == right


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        "text",
        {},
        {"seen": 8},
        {"seen": 9, "right": "/w=="},
        {"seen": 8, "right": "?"},
        {"seen": "8", "right": "/w=="},
    ],
)
def test_what_is_damaged_is_nothing(damaged: object) -> None:
    assert unpacked(damaged) is None


@pytest.mark.parametrize("scheme", ["sqlite", "journal"])
def test_a_storage_gives_back_what_the_workload_answered(tmp_path: Path, scheme: str) -> None:
    url = f"{scheme}:///{tmp_path / 'studies'}"
    workload = AnsweringWorkload()
    study = open_study("a", url, SPACE, workload=workload, accuracy_drop=0.01)
    chosen = [*configs(4, 6), *configs(4)]
    for config in chosen:
        study.enqueue_trial(SPACE.params(config))
    study.optimize(QuantizationObjective(workload, SPACE), n_trials=3)
    again = open_study("a", url, SPACE, workload=workload)
    kept = baseline_right_of(again)
    assert kept is not None
    assert kept.tolist() == workload.baseline_answers.right.tolist()
    baseline = baseline_of(again)
    assert baseline is not None
    assert baseline.treatment == "adapted as the others"
    for trial, config in zip(again.trials, chosen, strict=True):
        *_, answers = AnsweringWorkload().evaluate(config, 0)
        assert isinstance(answers, Answers)
        right = TrialRecord(trial).right
        assert right is not None
        assert right.tolist() == answers.right.tolist()
        assert "right" not in trial.user_attrs
    assert TrialRecord(again.trials[2]).duplicate_of == 0


def test_a_pruned_trial_keeps_the_samples_that_it_saw() -> None:
    workload = AnsweringWorkload()
    study = open_study("a", None, SPACE, workload=workload, accuracy_drop=0.0)
    set_accuracy_floor(study, 0.9)
    study.enqueue_trial(SPACE.params(configs(8)[0]))
    study.enqueue_trial(SPACE.params(configs(2)[0]))
    study.optimize(QuantizationObjective(workload, SPACE, pruner=FrontPruner(0.95)), n_trials=2)
    pruned = study.trials[1]
    assert pruned.state is TrialState.PRUNED
    right = TrialRecord(pruned).right
    first, _ = workload.evaluate(configs(2)[0], 0)
    assert isinstance(first, Answers)
    assert right is not None
    assert (len(right), right.tolist()) == (SEEN // 2, first.right.tolist())


def test_a_retry_begins_without_the_answers_of_the_attempt_before() -> None:
    study = open_study("a", None, SPACE)
    study.enqueue_trial(SPACE.params(configs(3)[0]))
    trial = study.ask()
    SPACE.suggest(trial)
    study._storage.set_trial_system_attr(trial._trial_id, "qspinn:right", packed(np.ones(4, bool)))
    enqueue_interrupted(trial)
    retry = study.trials[1]
    assert retry.state is TrialState.WAITING
    assert "qspinn:right" not in retry.system_attrs


def test_counts_alone_leave_no_answers_and_contradictions_count_as_none() -> None:
    study = open_study("a", None, SPACE, workload=FakeWorkload(), accuracy_drop=0.01)
    study.optimize(QuantizationObjective(FakeWorkload(), SPACE), n_trials=1)
    assert baseline_right_of(study) is None
    assert TrialRecord(study.trials[0]).right is None
    wrong = optuna.create_trial(
        values=[1.0, 0.5],
        user_attrs={"correct": 1, "seen": 4},
        system_attrs={"qspinn:right": packed(np.array([True, True, False, False]))},
    )
    assert TrialRecord(wrong).right is None
