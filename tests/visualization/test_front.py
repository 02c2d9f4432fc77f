from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.trial import TrialState

from qspinn_optuna import Choice, ParetoFront, QuantizationObjective, TradeOffSelector
from qspinn_optuna.study import DIRECTIONS, TrialRecord
from qspinn_optuna.visualization import plot_front
from qspinn_optuna.visualization.controls import is_uniform_width
from tests.fake_workload import FakeWorkload, fake_space
from tests.visualization.traces import named, points


@pytest.fixture
def choice(front: ParetoFront) -> Choice:
    return TradeOffSelector(0.1).select(front)


def point(trial: optuna.trial.FrozenTrial) -> tuple[float, float]:
    return trial.values[0], 100 * trial.values[1]


def test_every_finished_trial_is_shown_with_its_configuration(study: optuna.Study, front: ParetoFront) -> None:
    figure = plot_front(study, front)
    markers = [trace for trace in figure.data if trace.name.startswith(("PTQ", "ITQ"))]
    assert sorted(point for trace in markers for point in points(trace)) == sorted(map(point, study.trials))
    texts = [text for trace in markers for text in trace.text]
    for trial in study.trials:
        text = next(text for text in texts if f"trial {trial.number}<" in text)
        assert all(f"{name} = {value}" in text for name, value in trial.params.items())


def test_trials_at_the_same_point_name_each_other(study: optuna.Study, front: ParetoFront, choice: Choice) -> None:
    """Only one of them has a hover label on screen."""
    again = optuna.create_study(directions=DIRECTIONS)
    again.add_trials(study.trials)
    twin, count = study.trials[choice.trial_number], len(study.trials)
    again.add_trials([twin] * 12)
    texts = {
        int(text.removeprefix("<b>trial ").partition("<")[0]): text
        for trace in plot_front(again, front, choice).data
        if trace.name.startswith(("PTQ", "ITQ"))
        for text in trace.text
    }
    others = [trial.number for trial in again.trials if trial.values == twin.values and trial.number != count]
    named = ", ".join(map(str, others[:8]))
    assert twin.number in others[:8]
    assert f"at the same point: trials {named} and {len(others) - 8} more" in texts[count]
    assert f" {count}, " in texts[twin.number].partition("at the same point: ")[2]
    assert "★ chosen" in texts[twin.number]
    rest = {member.trial_number for member in front} - {twin.number}
    assert all("on the front" in texts[number] for number in rest)
    lonely = {number for number, text in texts.items() if "same point" not in text}
    assert len(lonely) > len(texts) / 3


def test_the_staircase_goes_on_to_the_largest_trial(study: optuna.Study, front: ParetoFront) -> None:
    staircase = named(plot_front(study, front), "Pareto front")
    assert list(staircase.x) == [*(member.memory_kib for member in front), max(t.values[0] for t in study.trials)]
    accuracies = [100 * member.accuracy for member in front]
    assert list(staircase.y) == [*accuracies, accuracies[-1]]


def test_the_choice_and_the_levels_are_marked(study: optuna.Study, front: ParetoFront, choice: Choice) -> None:
    figure = plot_front(study, front, choice)
    star = named(figure, f"chosen: trial {choice.trial_number}")
    assert points(star) == [(choice.memory_kib, 100 * choice.accuracy)]
    assert all(f"{name}: " in star.text[0] for name in choice.config.parameters)
    assert set(named(figure, "float network 95.00%").y) == {95.0}
    assert set(named(figure, "accuracy floor 80.00%").y) == {80.0}
    assert f"chosen: {choice.compression:.2f}x smaller" in figure.layout.title.text
    assert "KiB" in figure.layout.xaxis.title.text
    assert "%" in figure.layout.yaxis.title.text


def test_iso_reward_lines_have_one_reward_each_and_one_goes_through_the_choice(
    study: optuna.Study, front: ParetoFront
) -> None:
    mu = 0.4
    choice = TradeOffSelector(mu).select(front)
    lines = [trace for trace in plot_front(study, front, choice, mu=mu).data if trace.legendgroup == "reward"]
    rewards = [[y / 100 - mu * x / front.baseline_kib for x, y in points(line)] for line in lines]
    assert all(max(line) - min(line) < 1e-12 for line in rewards)
    assert any(line[0] == pytest.approx(choice.reward, abs=1e-12) for line in rewards)
    assert sum(line.showlegend for line in lines) == 1


def test_controls_are_framed(study: optuna.Study, front: ParetoFront) -> None:
    figure = plot_front(study, front)
    uniform = [trial for trial in study.trials if trial.params["bits.weight"] == trial.params["bits.membrane"]]
    weight_only = [trial for trial in study.trials if trial.params["bits.membrane"] == 8]
    assert points(named(figure, "one width")) == [point(trial) for trial in uniform]
    assert points(named(figure, "weights only")) == [point(trial) for trial in weight_only]
    assert 0 < len(uniform) < len(weight_only) < len(study.trials)


def test_uniform_widths_end_where_ranges_do() -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    ranges: dict[str, BaseDistribution] = {
        "bits.narrow": IntDistribution(1, 4),
        "bits.wide": IntDistribution(3, 9),
    }
    attributes: dict[str, Any] = {"config": {}, "footprint": {}}
    for widths, uniform in {(4, 7): True, (3, 7): False, (2, 3): True, (1, 4): False, (3, 3): True}.items():
        trial = optuna.trial.create_trial(
            values=[1.0, 0.5],
            params=dict(zip(ranges, widths, strict=True)),
            distributions=ranges,
            user_attrs=attributes,
        )
        study.add_trial(trial)
        assert is_uniform_width(TrialRecord(study.trials[-1])) is uniform


def test_a_study_that_does_not_know_its_space_has_no_weight_only_trials() -> None:
    study = optuna.create_study(directions=DIRECTIONS, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(QuantizationObjective(FakeWorkload(), fake_space()), n_trials=5)
    figure = plot_front(study, ParetoFront.from_study(study))
    assert "weights only" not in [trace.name for trace in figure.data]


def test_stopped_trials_are_shown_at_their_accuracy_so_far(pruned_study: optuna.Study) -> None:
    stopped = pruned_study.get_trials(states=(TrialState.PRUNED,))
    finished = pruned_study.get_trials(states=(TrialState.COMPLETE,))
    largest = max(trial.values[0] for trial in finished)
    shown = [trial for trial in stopped if trial.user_attrs["footprint"]["kib"] <= largest]
    crosses = named(plot_front(pruned_study, ParetoFront.from_study(pruned_study)), "stopped early, accuracy so far")
    assert points(crosses) == [
        (trial.user_attrs["footprint"]["kib"], 100 * (trial.user_attrs["correct"] / trial.user_attrs["seen"]))
        for trial in shown
    ]
    assert shown
    assert "of the first 500 samples" in crosses.text[0]


def test_ticks_of_memory_are_plain_and_in_view(study: optuna.Study, front: ParetoFront) -> None:
    axis = plot_front(study, front).layout.xaxis
    low, high = (10**end for end in axis.range)
    assert sum(low <= tick <= high for tick in axis.tickvals) >= 3
    assert [float(text) for text in axis.ticktext] == list(axis.tickvals)
    assert {0.25, 0.5, 1.0} <= set(axis.tickvals)


def test_the_front_is_made_of_the_study_if_it_is_not_given(study: optuna.Study, front: ParetoFront) -> None:
    assert plot_front(study).to_json() == plot_front(study, front).to_json()


@pytest.mark.parametrize("mu", [math.nan, math.inf, -0.1, "0.1"])
def test_mu_must_be_a_finite_number(study: optuna.Study, front: ParetoFront, mu: float) -> None:
    with pytest.raises(ValueError, match=r"^mu\b.*got"):
        plot_front(study, front, mu=mu)
