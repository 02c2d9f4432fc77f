"""What different rules choose of one front."""

from __future__ import annotations

from collections.abc import Mapping

from qspinn_optuna.front import ParetoFront
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.knee import KneeSelector
from qspinn_optuna.selection.one_standard_error import OneStandardErrorSelector
from qspinn_optuna.selection.selector import Selector
from qspinn_optuna.selection.smallest import SmallestSelector
from qspinn_optuna.selection.trade_off import TradeOffSelector

RULES: Mapping[str, Selector] = {
    "smallest": SmallestSelector(),
    "knee": KneeSelector(),
    "one standard error": OneStandardErrorSelector(),
    "reward, mu = 0.1": TradeOffSelector(0.1),
}
"""Rules that need no number of the user's, by a name that labels have room for."""


def other_choices(front: ParetoFront, choice: Choice | None) -> dict[str, Choice]:
    """What other rules choose, by their names; those that choose the same as ``choice`` are left out.

    Example:
        >>> for rule, other in other_choices(front, choice).items():
        ...     print(rule, other.trial_number)
        knee 14
        one standard error 5
        reward, mu = 0.1 5

    Args:
        front: The front.
        choice: The chosen model, if any.
    """
    found = {}
    for name, selector in RULES.items():
        try:
            other = selector.select(front)
        except ValueError:
            continue  # The front has too few models for this rule, or no floor.
        if choice is None or other.trial_number != choice.trial_number:
            found[name] = other
    return found
