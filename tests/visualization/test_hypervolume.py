from __future__ import annotations

import datetime

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from qspinn_optuna import ParameterQuantization, QFormat, QuantizationConfig, Rounding, Scheme
from qspinn_optuna.sampler.known_objective.improvement import hypervolume
from qspinn_optuna.study import DIRECTIONS, FootprintRecord, attributes_of
from qspinn_optuna.visualization import plot_hypervolume
from qspinn_optuna.visualization.hypervolume import GrowingHypervolume
from tests.visualization.traces import named, points

BASELINE_KIB = 10.0
CONFIG = QuantizationConfig(Scheme.PTQ, {"weight": ParameterQuantization(QFormat(0, 3), Rounding.NEAREST)})
BEGIN = datetime.datetime(2024, 1, 1)


@pytest.mark.parametrize("levels", [4, 8, 1_000])
def test_growing_agrees_with_computing_anew(levels: int) -> None:
    """Few levels make many equal costs and gains."""
    generator = np.random.default_rng(levels)
    for _ in range(20):
        costs = generator.integers(1, levels + 3, 60) / levels
        gains = generator.integers(-1, levels + 1, 60) / levels
        growing = GrowingHypervolume(1.0, 0.0)
        for count, (cost, gain) in enumerate(zip(costs, gains, strict=True), 1):
            before = growing.area
            assert growing.add(float(cost), float(gain)) == (growing.area > before)
            assert growing.area == pytest.approx(hypervolume(costs[:count], gains[:count], (1.0, 0.0)), abs=1e-12)


def trial(
    memory_kib: float,
    accuracy: float,
    start: float,
    end: float,
    state: TrialState = TrialState.COMPLETE,
    lack: float = 0,
) -> FrozenTrial:
    """A trial from ``start`` to ``end``, in seconds after the beginning."""
    made = create_trial(
        state=state,
        values=[memory_kib, accuracy] if state is TrialState.COMPLETE else None,
        user_attrs=attributes_of(CONFIG, FootprintRecord(memory_kib, BASELINE_KIB, 1.0, {}, {})),
        system_attrs={"constraints": [lack]},
    )
    made.datetime_start = BEGIN + datetime.timedelta(seconds=start)
    made.datetime_complete = BEGIN + datetime.timedelta(seconds=end)
    return made


@pytest.fixture
def timed() -> optuna.Study:
    study = optuna.create_study(directions=DIRECTIONS)
    study.add_trials(
        [
            trial(5.0, 0.5, 0, 30),
            trial(2.0, 0.4, 0, 10),
            trial(1.0, 0.9, 30, 40, TrialState.PRUNED),
            trial(4.0, 0.3, 40, 45),
            trial(8.0, 0.6, 100, 120),
        ]
    )
    return study


def test_shares_against_trials(timed: optuna.Study) -> None:
    figure = plot_hypervolume(timed)
    line = named(figure, "best so far")
    assert list(line.x) == [0, 1, 2, 3, 4]
    assert list(line.y) == pytest.approx([25, 37, 37, 37, 39])  # % of 10 KiB x 100 %, by hand
    assert [x for x, _ in points(named(figure, "trial that enlarged it"))] == [0, 1, 4]


def test_seconds_are_summed_up_in_the_order_of_ends_without_pauses(timed: optuna.Study) -> None:
    figure = plot_hypervolume(timed, "seconds")
    line = named(figure, "best so far")
    assert list(line.x) == [10, 40, 50, 55, 75]
    assert list(line.y) == pytest.approx([32, 37, 37, 37, 39])
    assert "(s)" in figure.layout.xaxis.title.text


def test_accuracy_may_begin_to_count_at_chance(timed: optuna.Study) -> None:
    last = points(named(plot_hypervolume(timed, reference_accuracy=0.35), "best so far"))[-1]
    assert last[1] == pytest.approx(100 * (0.05 * 8 + 0.1 * 5 + 0.1 * 2) / (0.65 * 10))


def test_infeasible_trials_do_not_count(study: optuna.Study) -> None:
    improvements = named(plot_hypervolume(study), "trial that enlarged it")
    accuracies = {trial.number: trial.values[1] for trial in study.trials}
    assert min(accuracies.values()) < 0.8
    assert all(accuracies[number] >= 0.8 for number in improvements.x)
    assert all("bits.weight = " in text for text in improvements.text)


@pytest.mark.parametrize("reference", [-0.1, 1.0, float("nan"), None])
def test_the_reference_must_be_a_fraction_under_one(timed: optuna.Study, reference: float) -> None:
    with pytest.raises(ValueError, match=rf"^reference_accuracy\b.*got {reference}"):
        plot_hypervolume(timed, reference_accuracy=reference)


def test_there_are_two_axes_to_choose_from(timed: optuna.Study) -> None:
    with pytest.raises(ValueError, match=r"^against\b.*got 'hours'"):
        plot_hypervolume(timed, "hours")  # type: ignore[arg-type]


def test_a_point_at_the_beginning_is_beside_the_labels_of_the_other_axis(timed: optuna.Study) -> None:
    """The radius of a point is 4 pixels; panels are at least about 250 pixels wide."""
    low, high = plot_hypervolume(timed).layout.xaxis.range
    assert (0 - low) / (high - low) > 4 / 250
    assert high > 4
    alone = optuna.create_study(directions=DIRECTIONS)
    alone.add_trial(trial(5.0, 0.5, 0, 30))
    low, high = plot_hypervolume(alone).layout.xaxis.range
    assert low < 0 < high


def one_trial(name: str, memory_kib: float = 5.0, accuracy: float = 0.5) -> optuna.Study:
    study = optuna.create_study(study_name=name, directions=DIRECTIONS)
    study.add_trial(trial(memory_kib, accuracy, 0, 30))
    return study


def test_several_searches_have_a_line_each_against_the_same_reference(timed: optuna.Study) -> None:
    figure = plot_hypervolume({"first": timed, "second": one_trial("x")})
    assert [trace.name for trace in figure.data] == ["first: 39.00%", "second: 25.00%"]
    first, second = figure.data
    assert points(first) == points(named(plot_hypervolume(timed), "best so far"))
    assert points(second) == [(0, 25.0)]
    assert first.line.color != second.line.color
    assert first.line.dash != second.line.dash
    assert first.marker.symbol != second.marker.symbol
    assert [size > 0 for size in first.marker.size] == [True, True, False, False, True]
    assert first.text[0].startswith("<b>first</b>: 25.00%")
    assert "2 searches" in figure.layout.title.text


def test_a_sequence_of_studies_goes_by_their_names() -> None:
    figure = plot_hypervolume([one_trial("a"), one_trial("b", accuracy=0.8)], "seconds", reference_accuracy=0.3)
    assert [trace.name for trace in figure.data] == [f"a: {100 / 7:.2f}%", f"b: {250 / 7:.2f}%"]
    with pytest.raises(ValueError, match=r"^study\b.*\['a'\] more than once: give a mapping"):
        plot_hypervolume([one_trial("a"), one_trial("a")])


def test_many_searches_have_different_lines() -> None:
    figure = plot_hypervolume([one_trial(str(number)) for number in range(20)])
    assert len({(trace.line.color, trace.line.dash) for trace in figure.data}) == 20


def test_one_of_several_looks_like_a_study_alone(timed: optuna.Study) -> None:
    assert plot_hypervolume({"mine": timed}).data == plot_hypervolume(timed).data
    assert "mine: hypervolume" in plot_hypervolume({"mine": timed}).layout.title.text


def test_searches_that_cannot_be_compared_are_refused(timed: optuna.Study) -> None:
    with pytest.raises(ValueError, match=r"^study\b.*got none"):
        plot_hypervolume([])
    with pytest.raises(TypeError, match=r"^study\b.*got int"):
        plot_hypervolume({"first": timed, "second": 2})  # type: ignore[dict-item]
    larger = trial(5.0, 0.5, 0, 30)
    larger.user_attrs["footprint"]["baseline_kib"] = 20.0
    other = optuna.create_study(directions=DIRECTIONS)
    other.add_trial(larger)
    with pytest.raises(ValueError, match=r"^study\b.*10 KiB in 'first', 20 KiB in 'second'"):
        plot_hypervolume({"first": timed, "second": other})
    infeasible = optuna.create_study(study_name="floored", directions=DIRECTIONS)
    infeasible.add_trial(trial(5.0, 0.5, 0, 30, lack=0.1))
    with pytest.raises(ValueError, match="'floored' has no feasible trial"):
        plot_hypervolume([timed, infeasible])


def test_a_search_without_a_right_answer_has_no_line(timed: optuna.Study) -> None:
    none = optuna.create_study(directions=DIRECTIONS)
    none.add_trial(trial(5.0, 0.0, 0, 30))
    assert list(named(plot_hypervolume(none), "best so far").x) == []
    assert [line.name for line in plot_hypervolume({"none": none, "some": timed}).data] == [
        "none: 0.00%",
        "some: 39.00%",
    ]
