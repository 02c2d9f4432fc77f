"""The rule of the command line that selects a model."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import optuna

from qspinn_optuna.cli.errors import CommandError, UsageError
from qspinn_optuna.cli.studies import choose_command
from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.front import InfeasibleError, ParetoFront
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
from qspinn_optuna.study import Baseline, baseline_of
from qspinn_optuna.targets import Target

RULES = (
    *("--mu", "--within", "--within-standard-error", "--budget-kib", "--knee"),
    *("--target", "--accuracy-drop"),
)
"""Options that say what is chosen, and of what."""

_BUDGET = "memory_kib"
"""What a selector calls the budget."""


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


def rule_options(arguments: argparse.Namespace) -> list[str]:
    """The options of a command line that say what is chosen."""
    given = ((option, getattr(arguments, option.removeprefix("--").replace("-", "_"))) for option in RULES)
    return [text for option, value in given for text in _written(option, value)]


def _written(option: str, value: object) -> list[str]:
    """As on a command line; nothing for what is not given."""
    if value is None or value is False:
        return []
    return [option] if value is True else [option, f"{value}"]


@contextmanager
def told_in_options(study: optuna.Study, storage: str) -> Iterator[None]:
    """A context in which errors of a front and of a selection name options.

    Args:
        study: The study that is chosen of.
        storage: Where it is.

    Raises:
        CommandError: In place of such an error.
    """
    try:
        yield
    except InfeasibleError as error:
        drop = _drop_that_would_do(baseline_of(study), error.accuracy)
        accept = "" if drop is None else f", or accept it: {choose_command(study, storage, ['--accuracy-drop', drop])}"
        raise CommandError(f"{error.fact} Run more --trials or wider --bits{accept}") from error
    except ValueError as error:
        if not str(error).startswith(_BUDGET):
            raise
        raise UsageError(str(error).replace(_BUDGET, "--budget-kib", 1)) from error


def _drop_that_would_do(baseline: Baseline | None, accuracy: float) -> str | None:
    """The drop with whose floor the most accurate model is feasible, if there is a float network to drop from."""
    if baseline is None or accuracy > baseline.accuracy:
        return None
    # Rounded up to a hundredth of a point, since it would miss the floor again otherwise.
    hundredths = math.floor(10_000 * (baseline.accuracy - accuracy))
    while baseline.accuracy - hundredths / 10_000 > accuracy:
        hundredths += 1
    return f"{hundredths / 10_000:g}"


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
