"""The rule of the command line that selects a model."""

from __future__ import annotations

import argparse

from qspinn_optuna.selection import (
    BudgetSelector,
    KneeSelector,
    OneStandardErrorSelector,
    Selector,
    SmallestSelector,
    ToleranceSelector,
    TradeOffSelector,
)


def make_selector(arguments: argparse.Namespace) -> Selector:
    """The rule that the command line asks for; the smallest feasible model if it asks for none."""
    if arguments.mu is not None:
        return TradeOffSelector(arguments.mu)
    if arguments.within is not None:
        return ToleranceSelector(arguments.within)
    if arguments.within_standard_error:
        return OneStandardErrorSelector()
    if arguments.budget_kib is not None:
        return BudgetSelector(arguments.budget_kib)
    return KneeSelector() if arguments.knee else SmallestSelector()
