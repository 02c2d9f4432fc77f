"""What other rules choose beside a choice."""

from __future__ import annotations

from qspinn_optuna import ParetoFront, SmallestSelector
from qspinn_optuna.front import Candidate
from qspinn_optuna.selection import RULES, other_choices
from tests.fake_workload import fake_space

CONFIG = fake_space().config({"scheme": "ptq", "rounding": "nearest", "bits.weight": 4, "bits.membrane": 4})


def front_of(*points: tuple[float, float], floor: float | None = None) -> ParetoFront:
    """A front of (memory, accuracy)."""
    members = [
        Candidate(number, CONFIG, kib, 1_000 / kib, accuracy, 1_000) for number, (kib, accuracy) in enumerate(points)
    ]
    return ParetoFront(tuple(members), 1_000.0, floor)


def test_each_rule_is_there_unless_it_chooses_the_same() -> None:
    front = front_of((10, 0.70), (12, 0.86), (90, 0.87), (500, 0.90), floor=0.6)
    choice = SmallestSelector().select(front)
    others = other_choices(front, choice)
    chosen = {name: selector.select(front) for name, selector in RULES.items()}
    assert others == {name: other for name, other in chosen.items() if other.trial_number != choice.trial_number}
    assert {"knee", "one standard error"} <= others.keys()
    assert "smallest" not in others
    assert other_choices(front, None) == chosen


def test_rules_that_cannot_choose_are_left_out() -> None:
    front = front_of((10, 0.7))
    assert {other.trial_number for other in other_choices(front, None).values()} <= {0}
    assert other_choices(front, RULES["reward, mu = 0.1"].select(front)) == {}
