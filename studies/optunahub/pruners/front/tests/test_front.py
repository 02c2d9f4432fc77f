"""Tests of the assembled package, in the registry's layout."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import optunahub
import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import create_trial

PACKAGE = Path(__file__).parents[1]
MODULE = optunahub.load_local_module("pruners/front", registry_root=str(PACKAGE.parents[1]))
CURVE = "front_pruner.curve"
DIRECTIONS = {"min": StudyDirection.MINIMIZE, "max": StudyDirection.MAXIMIZE}


def study_of(*finished: tuple[float, ...], directions: str = "min max", **more: Any) -> optuna.Study:
    """A study with finished trials of these values."""
    study = optuna.create_study(directions=[DIRECTIONS[direction] for direction in directions.split()])
    for values in finished:
        study.add_trial(
            create_trial(values=values, params={"x": 0.0}, distributions={"x": FloatDistribution(0, 1)}, **more)
        )
    return study


def is_stopped(pruner: Any, study: optuna.Study, values: tuple[float | None, ...], hits: int, total: int) -> bool:
    """With the first half of the samples, of which ``hits`` count."""
    return bool(pruner.should_prune_counts(study.ask(), values, hits, total // 2, total=total))


@pytest.mark.parametrize("directions", ["min max", "min min", "max max", "max min"])
def test_only_finished_trials_that_are_as_good_where_it_is_known_stop_a_trial(directions: str) -> None:
    cost, value = (direction == "max" for direction in directions.split())
    pruner = MODULE.FrontPruner(0.95, known=(0,))
    study = study_of((5.0, 0.9 if value else 0.1), directions=directions)
    bad, good = (100, 490) if value else (400, 10)
    worse, better = (4.0, 6.0) if cost else (6.0, 4.0)
    assert is_stopped(pruner, study, (worse, None), bad, 1000)
    assert is_stopped(pruner, study, (5.0, None), bad, 1000)
    assert not is_stopped(pruner, study, (better, None), bad, 1000)
    assert not is_stopped(pruner, study, (worse, None), good, 1000)


def test_what_equals_the_front_is_stopped_as_soon_as_it_cannot_exceed_it() -> None:
    pruner = MODULE.FrontPruner(0.95, known=(0,))
    study = study_of((5.0, 1.0))
    assert pruner.should_prune_counts(study.ask(), (5.0, None), 1, 1, total=1000)
    # It takes 30 of 100 to be better than 0.29, though 0.29 * 100 is less than 29.
    study = study_of((5.0, 0.29))
    assert pruner.should_prune_counts(study.ask(), (5.0, None), 28, 99, total=100)
    assert not pruner.should_prune_counts(study.ask(), (5.0, None), 29, 99, total=100)


def test_infeasible_trials_stop_nobody() -> None:
    pruner = MODULE.FrontPruner(0.95, known=(0,))
    study = study_of((5.0, 0.9))
    assert is_stopped(pruner, study, (5.0, None), 100, 1000)
    study = optuna.create_study(directions=["minimize", "maximize"])
    trial = study.ask()
    trial.set_constraint("floor", 0.1)
    study.tell(trial, (5.0, 0.9))
    assert not is_stopped(pruner, study, (5.0, None), 100, 1000)


def test_a_trial_that_would_enter_the_front_is_stopped_no_more_often_than_promised() -> None:
    """Accuracies just above the front's, looked at after every tenth sample: 400 evaluations."""
    pruner = MODULE.FrontPruner(0.8, known=(0,))
    study, draws, stopped = study_of((1.0, 0.7)), random.Random(0), 0
    for _ in range(400):
        answers = [1] * 71 + [0] * 29
        draws.shuffle(answers)
        trial = study.ask()
        counts = itertools.accumulate(answers)
        looks = [(hits, seen) for seen, hits in enumerate(counts, start=1) if seen % 10 == 0]
        stopped += any(pruner.should_prune_counts(trial, (1.0, None), *look, total=100) for look in looks)
    assert 0 < stopped <= 0.2 * 400


def curves(count: int, gain: float) -> list[tuple[tuple[float, float], list[list[float]]]]:
    """Trials with a loss and a cost, to be minimized, that gain up to so much from their first step to the end."""
    gains = [gain * (number + 1) / count for number in range(count)]
    return [((1 - each, 3.0), [[1, 1.0, 3.0], [2, 1 - each / 2, 3.0]]) for each in gains]


@pytest.mark.parametrize(("finished", "known", "is_bounded"), [(18, (1,), False), (19, (1,), True), (38, (), False)])
def test_curves_are_bounded_by_the_gains_of_enough_finished_trials(
    finished: int, known: tuple[int, ...], *, is_bounded: bool
) -> None:
    study = study_of(directions="min min")
    for values, curve in curves(finished, 0.5):
        study.add_trial(create_trial(values=values, user_attrs={CURVE: curve}))
    study.add_trial(create_trial(values=(0.2, 1.0)))
    pruner = MODULE.FrontPruner(0.95, known=known)
    assert pruner.should_prune(study.ask(), (0.71, 1.0), 1) == is_bounded
    # It may gain 0.5 and be better than 0.2 then; it is cheaper than all; it reports at another step than they did.
    assert not pruner.should_prune(study.ask(), (0.69, 1.0), 1)
    assert not pruner.should_prune(study.ask(), (0.71, 0.9), 1)
    assert not pruner.should_prune(study.ask(), (0.71, 1.0), 2)


def test_two_curves_share_the_confidence() -> None:
    study = study_of(directions="min min")
    for values, curve in curves(39, 0.5):
        study.add_trial(create_trial(values=values, user_attrs={CURVE: curve}))
    study.add_trial(create_trial(values=(0.2, 1.0)))
    assert MODULE.FrontPruner(0.95).should_prune(study.ask(), (0.71, 1.0), 1)


def test_reports_are_kept_for_later_trials() -> None:
    study = study_of()
    trial = study.ask()
    pruner = MODULE.FrontPruner()
    assert not pruner.should_prune(trial, (1.0, 0.5), 1)
    assert not pruner.should_prune(trial, (1.0, 0.6), 3)
    assert trial.user_attrs[CURVE] == [[1, 1.0, 0.5], [3, 1.0, 0.6]]
    with pytest.raises(ValueError, match="step"):
        pruner.should_prune(trial, (1.0, 0.6), 3)


def test_bad_input_is_named() -> None:
    study = study_of((1.0, 0.9))
    for confidence in (0, 1, 1.5):
        with pytest.raises(ValueError, match="confidence"):
            MODULE.FrontPruner(confidence)
    with pytest.raises(ValueError, match="known"):
        MODULE.FrontPruner().should_prune_counts(study.ask(), (1.0, None), 1, 2)
    for known in ((0, 1), (2,)):
        with pytest.raises(ValueError, match="known"):
            MODULE.FrontPruner(known=known).should_prune(study.ask(), (1.0, 1.0), 1)
    pruner = MODULE.FrontPruner(known=(0,))
    for values in ((1.0,), (1.0, float("nan"))):
        with pytest.raises(ValueError, match="values"):
            pruner.should_prune(study.ask(), values, 1)
    with pytest.raises(ValueError, match="values"):
        pruner.should_prune_counts(study.ask(), (None, None), 1, 2)
    with pytest.raises(ValueError, match="correct"):
        pruner.should_prune_counts(study.ask(), (1.0, None), 3, 2)
    with pytest.raises(ValueError, match="proportion"):
        pruner.should_prune_counts(study_of((1.0, 90.0)).ask(), (1.0, None), 1, 2)


def test_the_example_stops_trials() -> None:
    finished = subprocess.run(
        [sys.executable, str(PACKAGE / "example.py")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OPTUNAHUB_NO_ANALYTICS": "1"},
    )
    stopped = [int(line.split()[1]) for line in finished.stdout.splitlines()]
    assert len(stopped) == 2
    assert min(stopped) >= 10
