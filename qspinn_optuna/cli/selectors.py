"""The rule of the command line that selects a model."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import optuna

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.front import ParetoFront
from qspinn_optuna.selection import (
    BudgetSelector,
    Choice,
    KneeSelector,
    OneStandardErrorSelector,
    Selector,
    SmallestSelector,
    ToleranceSelector,
    TradeOffSelector,
)
from qspinn_optuna.targets import Target


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


def choose(
    study: optuna.Study,
    selector: Selector,
    target: Target | None,
    where: Callable[[QuantizationConfig], bool] | None = None,
) -> Choice:
    """What a rule chooses of the feasible models of a study.

    Args:
        study: The study.
        selector: The rule.
        target: The device that the model must fit; any will do if not given.
        where: Whether to consider a configuration; all are considered if not given.

    Raises:
        ValueError: If there is nothing to choose.
    """
    choice = selector.select(ParetoFront.from_study(study, where=where, target=target))
    return choice if target is None else replace(choice, rule=f"{choice.rule}, of those that fit {target.name}")
