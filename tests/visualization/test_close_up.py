"""The close-up of a front, and the choices of other rules, against all models one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qspinn_optuna import ParetoFront, SmallestSelector
from qspinn_optuna.front import Candidate
from qspinn_optuna.selection import other_choices
from qspinn_optuna.visualization import plot_front
from qspinn_optuna.visualization.close_up import close_up_of
from qspinn_optuna.visualization.other_rules import OTHER_RULES, names_by_trial
from tests.fake_workload import fake_space
from tests.visualization.traces import footprint, named, points

CONFIG = fake_space().config({"scheme": "ptq", "rounding": "nearest", "bits.weight": 4, "bits.membrane": 4})
DENSE = (32.5, 32.8, 33.3, 33.5, 64.0)


def front_of(memories: Sequence[float]) -> ParetoFront:
    """A front whose accuracy grows by a tenth of a point from model to model."""
    ordered = sorted(memories)
    candidates = [
        Candidate(number, CONFIG, memory, 1_000 / memory, 0.8 + 0.001 * number, 1_000, memory / 2, memory / 2)
        for number, memory in enumerate(ordered)
    ]
    return ParetoFront(tuple(candidates), 1_000.0)


def test_a_dense_part_of_a_front_is_shown_larger() -> None:
    close_up = close_up_of(front_of(DENSE), None, [*DENSE, 256.0])
    assert close_up is not None
    assert [member.memory_kib for member in close_up.members] == list(DENSE[:4])
    assert not close_up.has(64.0)
    low, high = close_up.accuracies([0.801, 0.3])
    assert 79 < low < 80
    assert 80.3 < high < 81.5


@pytest.mark.parametrize("memories", [(32.0, 64.0, 128.0), (32.0,), (32.0, 32.0), (32.5, 32.8, 256.0)])
def test_what_can_be_seen_has_no_close_up(memories: tuple[float, ...]) -> None:
    assert close_up_of(front_of(memories), None, memories) is None


@settings(deadline=None)
@given(st.lists(st.floats(1, 1_000), min_size=1, max_size=12, unique=True))
def test_a_close_up_has_the_smallest_model_and_all_its_neighbours(memories: list[float]) -> None:
    close_up = close_up_of(front_of(memories), None, memories)
    if close_up is None:
        return
    whole = math.log(max(memories) / min(memories))
    shown = {member.memory_kib for member in close_up.members}
    assert min(memories) in shown
    for memory in memories:
        distance = min(abs(math.log(memory / other)) for other in shown)
        assert (memory in shown) or distance > whole / 8
    assert math.log(max(shown) / min(shown)) <= whole / 5


def test_other_rules_are_labelled_in_the_figure(study: optuna.Study, front: ParetoFront) -> None:
    choice = SmallestSelector().select(front)
    names = names_by_trial(other_choices(front, choice))
    assert names
    members = [member for member in front if member.trial_number in names]
    trace = named(plot_front(study, front, choice), OTHER_RULES)
    assert points(trace) == [(member.memory_kib, 100 * member.accuracy) for member in members]
    assert list(trace.text) == [names[member.trial_number] for member in members]


def test_the_second_panel_has_the_same_models_and_their_numbers() -> None:
    front = front_of(DENSE)
    study = optuna.create_study(directions=["minimize", "maximize"])
    for memory in (*DENSE, 256.0):
        attributes = {"config": CONFIG.to_dict(), "footprint": footprint(memory)}
        study.add_trial(optuna.create_trial(values=[memory, 0.8], user_attrs=attributes))
    choice = SmallestSelector().select(front)
    figure = plot_front(study, front, choice)
    numbers = named(figure, "numbers of trials (close-up)")
    assert numbers.yaxis == "y2"
    named_by_rules = names_by_trial(other_choices(front, choice))
    numbered = [(DENSE[number], str(number)) for number in (1, 2, 3) if number not in named_by_rules]
    assert 0 < len(numbered) < 3
    assert list(zip(numbers.x, numbers.text, strict=True)) == numbered
    low, high = figure.layout.xaxis2.range
    assert low < DENSE[0] < DENSE[3] < high < 64
