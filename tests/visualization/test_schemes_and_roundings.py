from __future__ import annotations

from collections.abc import Sequence

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import create_trial

from qspinn_optuna import QuantizationObjective, QuantizationSpace
from qspinn_optuna.study import DIRECTIONS
from qspinn_optuna.visualization import plot_schemes_and_roundings
from tests.fake_workload import FakeWorkload
from tests.visualization.traces import footprint


def test_every_trial_is_in_the_box_of_its_pair(study: optuna.Study) -> None:
    boxes = [trace for trace in plot_schemes_and_roundings(study).data if trace.type == "box"]
    pairs = {(trial.params["scheme"], trial.params["rounding"]) for trial in study.trials}
    assert len(boxes) == len(pairs)
    for box in boxes:
        scheme, rounding, number, *_ = box.name.split("<br>")
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


def study_of(accuracies: Sequence[float]) -> optuna.Study:
    """The trials of one pair."""
    study = optuna.create_study(directions=DIRECTIONS)
    params = {"scheme": "ptq", "rounding": "nearest"}
    distributions: dict[str, BaseDistribution] = {
        name: CategoricalDistribution([value]) for name, value in params.items()
    }
    for number, accuracy in enumerate(accuracies):
        values = [1.0 + number, accuracy]
        attributes = {"config": {}, "footprint": footprint(values[0])}
        study.add_trial(create_trial(values=values, params=params, distributions=distributions, user_attrs=attributes))
    return study


USUAL = [0.86 + 0.002 * number for number in range(20)]


def test_trials_that_failed_badly_are_outside_of_the_axes_and_counted() -> None:
    figure = plot_schemes_and_roundings(study_of([*USUAL, 0.1, 0.2]))
    for axis in (figure.layout.yaxis, figure.layout.yaxis2):
        low, high = axis.range
        assert 85 < low < 86
        assert 89.8 < high < 91
    (box,) = [trace for trace in figure.data if trace.type == "box"]
    assert box.name.endswith("n = 22<br>2 lower")
    assert len(box.y) == 22
    assert "2 lower than the axes, down to 10.0%" in figure.layout.title.text


def test_fewer_than_five_trials_have_points_and_no_box() -> None:
    for count, line in ((4, "rgba(0, 0, 0, 0)"), (5, "#007F5C")):
        (box,) = [trace for trace in plot_schemes_and_roundings(study_of(USUAL[:count])).data if trace.type == "box"]
        assert box.line.color == line
        assert box.boxpoints == "all"


def test_where_nothing_failed_all_is_in_view() -> None:
    figure = plot_schemes_and_roundings(study_of(USUAL))
    assert "lower" not in figure.to_json()
    assert figure.layout.yaxis.range[0] < 86


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_half_of_the_trials_and_the_best_are_in_view(accuracies: list[float]) -> None:
    low, high = plot_schemes_and_roundings(study_of(accuracies)).layout.yaxis.range
    assert low < 100 * max(accuracies) < high
    assert sum(100 * accuracy >= low for accuracy in accuracies) >= len(accuracies) / 2
    assert high - low > 1
    span = max(accuracies) - min(accuracies)
    assert span > 0.05 or low < 100 * min(accuracies)


def test_labels_have_room_over_the_lower_panel_in_a_card_of_the_dashboard(study: optuna.Study) -> None:
    """Three lines of labels and a title take about 68 pixels; a card has 450."""
    layout = plot_schemes_and_roundings(study).layout
    gap = layout.yaxis.domain[0] - layout.yaxis2.domain[1]
    assert gap * (450 - layout.margin.t - layout.margin.b) > 68


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
    with pytest.raises(ValueError, match="'scheme' and 'rounding'"):
        plot_schemes_and_roundings(study)
