from __future__ import annotations

import optuna
import pytest
from optuna.trial import create_trial

from qspinn_optuna import QuantizationObjective, QuantizationSpace
from qspinn_optuna.study import DIRECTIONS
from qspinn_optuna.visualization import plot_schemes_and_roundings
from tests.fake_workload import FakeWorkload


def test_every_trial_is_in_the_box_of_its_pair(study: optuna.Study) -> None:
    boxes = [trace for trace in plot_schemes_and_roundings(study).data if trace.type == "box"]
    pairs = {(trial.params["scheme"], trial.params["rounding"]) for trial in study.trials}
    assert len(boxes) == len(pairs)
    for box in boxes:
        scheme, rounding, number = box.name.split("<br>")
        members = [
            trial
            for trial in study.trials
            if (trial.params["scheme"], trial.params["rounding"]) == (scheme.lower(), rounding)
        ]
        assert list(box.y) == [100 * trial.values[1] for trial in members]
        assert number == f"n = {len(members)}"
        for trial, text in zip(members, box.text, strict=True):
            assert all(f"{name} = {value}" in text for name, value in trial.params.items())


def test_lines_are_the_best_within_a_memory(study: optuna.Study) -> None:
    lines = [trace for trace in plot_schemes_and_roundings(study).data if trace.type == "scatter"]
    for line in lines:
        scheme, rounding = line.name.split(", ")
        members = [
            trial.values
            for trial in study.trials
            if (trial.params["scheme"], trial.params["rounding"]) == (scheme.lower(), rounding)
        ]
        for memory_kib, accuracy in zip(line.x, line.y, strict=True):
            assert accuracy == 100 * max(value for kib, value in members if kib <= memory_kib)
    assert {line.x[-1] for line in lines} == {max(trial.values[0] for trial in study.trials)}


def test_a_rounding_per_family_has_a_row_per_family() -> None:
    space = QuantizationSpace(FakeWorkload.parameters, (2, 8), rounding_per_family=True)
    study = optuna.create_study(directions=DIRECTIONS, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), space), n_trials=20)
    figure = plot_schemes_and_roundings(study)
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == [
        f"{what}, by rounding of {family}"
        for family in ("weight", "membrane")
        for what in ("all trials", "best within a memory")
    ]
    for axis in ("x", "x3"):
        assert sum(len(trace.y) for trace in figure.data if trace.type == "box" and trace.xaxis == axis) == 20
    legend = [trace.name for trace in figure.data if trace.type == "scatter" and trace.showlegend]
    assert len(legend) == len(set(legend)) == len({trace.name for trace in figure.data if trace.type == "scatter"})


def test_trials_without_scheme_and_rounding_are_refused() -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    study.add_trial(create_trial(values=[1.0, 0.5], user_attrs={"config": {}, "footprint": {}}))
    with pytest.raises(ValueError, match="without the parameters 'scheme' and 'rounding'"):
        plot_schemes_and_roundings(study)
