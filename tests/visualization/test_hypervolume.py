from __future__ import annotations

import datetime

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from qspinn_optuna.sampler.known_objective.improvement import hypervolume
from qspinn_optuna.study import DIRECTIONS
from qspinn_optuna.visualization import plot_hypervolume
from qspinn_optuna.visualization.hypervolume import GrowingHypervolume
from tests.visualization.traces import named, points

BASELINE_KIB = 10.0
BEGIN = datetime.datetime(2024, 1, 1)


@pytest.mark.parametrize("levels", [4, 8, 1_000])
def test_growing_agrees_with_computing_anew(levels: int) -> None:
    """With few levels there are many equal costs and gains."""
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
    """From ``start`` to ``end`` seconds after the beginning."""
    made = create_trial(
        state=state,
        values=[memory_kib, accuracy] if state is TrialState.COMPLETE else None,
        user_attrs={"config": config(), "footprint": {"baseline_kib": BASELINE_KIB, "compression": 1.0}},
        system_attrs={"constraints": [lack]},
    )
    made.datetime_start = BEGIN + datetime.timedelta(seconds=start)
    made.datetime_complete = BEGIN + datetime.timedelta(seconds=end)
    return made


def config() -> dict[str, object]:
    return {"scheme": "ptq", "parameters": {"weight": {"format": "Q0.3", "rounding": "nearest"}}}


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
    with pytest.raises(ValueError, match="reference_accuracy must be a fraction"):
        plot_hypervolume(timed, reference_accuracy=reference)


def test_there_are_two_axes_to_choose_from(timed: optuna.Study) -> None:
    with pytest.raises(ValueError, match='against must be "trials" or "seconds"'):
        plot_hypervolume(timed, "hours")  # type: ignore[arg-type]
