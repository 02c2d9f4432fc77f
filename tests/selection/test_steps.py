"""What could be taken instead of a choice."""

from __future__ import annotations

import optuna

from qspinn_optuna import ParetoFront, QuantizationObjective, SmallestSelector, open_study
from qspinn_optuna.selection import StudyRisk, TradeOffSelector, other_choices, steps_from, steps_table
from qspinn_optuna.study import TrialRecord, fit_of
from qspinn_optuna.targets import Target
from tests.fake_workload import AnsweringWorkload, fake_space

SPACE = fake_space()


def searched(accuracy_drop: float = 0.03) -> optuna.Study:
    workload = AnsweringWorkload()
    study = open_study("a", None, SPACE, optuna.samplers.RandomSampler(seed=0), workload, accuracy_drop=accuracy_drop)
    study.optimize(QuantizationObjective(workload, SPACE), n_trials=30)
    return study


def test_steps_are_the_next_smaller_models_the_choice_and_what_other_rules_take() -> None:
    study = searched()
    front = ParetoFront.from_study(study)
    for selector in (SmallestSelector(), TradeOffSelector(0.1)):
        choice = selector.select(front)
        steps = steps_from(study, front, choice)
        points = {trial.number: tuple(trial.values) for trial in study.trials}
        others = {other.trial_number for other in other_choices(front, choice).values()}
        smaller = sorted(
            (kib, number)
            for number, (kib, accuracy) in points.items()
            if kib < choice.memory_kib
            and not any(k <= kib and a >= accuracy and (k, a) != (kib, accuracy) for k, a in points.values())
            and not any(points[n] == (kib, accuracy) for n in range(number))
        )
        expected = {number for _, number in smaller[-3:]} - others
        assert {step.candidate.trial_number for step in steps if step.taken_by == "next smaller"} == expected
        assert [step.candidate for step in steps if step.taken_by == "chosen"] == [choice.candidate]
        assert {step.candidate.trial_number for step in steps} == expected | others | {choice.trial_number}
        assert [step.candidate.memory_kib for step in steps] == sorted(step.candidate.memory_kib for step in steps)
        for step in steps:
            assert step.gain == points[step.candidate.trial_number][1] - choice.accuracy
            assert step.risk == StudyRisk(study).of_trial(step.candidate.trial_number)


def test_what_misses_the_floor_by_far_is_riskier_than_what_reaches_it_and_the_table_is_narrow() -> None:
    study = searched()
    front = ParetoFront.from_study(study)
    steps = steps_from(study, front, SmallestSelector().select(front))
    risks = [step.risk.probability for step in steps if step.risk is not None]
    assert len(risks) == len(steps) > 2
    assert risks[0] > 0.5 > risks[-1]
    table = steps_table(steps)
    assert max(map(len, table.splitlines())) <= 60
    assert table.count("\n") == len(steps) + 1


def test_what_other_rules_take_fits_the_device_too() -> None:
    study = searched(accuracy_drop=0.5)
    front = ParetoFront.from_study(study)
    choice = SmallestSelector().select(front)
    everything = steps_from(study, front, choice)
    kib = max(step.candidate.memory_kib for step in everything) - 0.05
    fitting = steps_from(study, front, choice, Target("mine", kib, kib))
    assert {step.taken_by for step in fitting} >= {step.taken_by for step in everything} - {"next smaller"}
    trials = [study.trials[step.candidate.trial_number] for step in fitting]
    fits = [fit_of(study, TrialRecord(trial), Target("mine", kib, kib)) for trial in trials]
    assert all(fit is not None and fit.fits for fit in fits)
