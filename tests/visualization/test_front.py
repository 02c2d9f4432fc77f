from __future__ import annotations

import optuna
import pytest

from qspinn_optuna import ParetoFront, QuantizationObjective, TradeOffSelector
from qspinn_optuna.visualization import plot_front
from tests.fake_workload import FakeWorkload, fake_space


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space(), accuracy_floor=0.8), n_trials=30)
    return study


def test_every_finished_trial_is_shown_with_its_configuration(study: optuna.Study) -> None:
    figure = plot_front(study, ParetoFront.from_study(study))
    markers = [trace for trace in figure.data if trace.mode == "markers"]
    shown = sorted(point for trace in markers for point in zip(trace.x, trace.y, strict=True))
    assert shown == sorted((trial.values[0], 100 * trial.values[1]) for trial in study.trials)
    texts = [text for trace in markers for text in trace.text]
    for trial in study.trials:
        text = next(text for text in texts if f"trial {trial.number}<" in text)
        assert all(f"{name} = {value}" in text for name, value in trial.params.items())


def test_the_staircase_and_the_choice_are_those_of_the_front(study: optuna.Study) -> None:
    front = ParetoFront.from_study(study)
    choice = TradeOffSelector(0.1).select(front)
    figure = plot_front(study, front, choice, baseline_accuracy=0.95, accuracy_floor=0.8)
    lines = {trace.name: trace for trace in figure.data}
    assert list(lines["Pareto front"].x) == [candidate.memory_kib for candidate in front]
    assert list(lines[f"chosen: trial {choice.trial_number}"].x) == [choice.memory_kib]
    assert sorted(shape.y0 for shape in figure.layout.shapes) == [80.0, 95.0]
    assert "KiB" in figure.layout.xaxis.title.text
