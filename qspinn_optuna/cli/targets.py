"""The device that the command line names, and how models fit it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import optuna

from qspinn_optuna.cli.arguments import TARGETS
from qspinn_optuna.cli.errors import UsageError
from qspinn_optuna.study import TrialRecord, fit_of
from qspinn_optuna.targets import Fit, Target, target_named


def target_of(arguments: argparse.Namespace) -> Target | None:
    """The device that the command line names; None if it names none.

    Raises:
        UsageError: If it is unknown, or its memories are no positive numbers.
    """
    text: str | None = arguments.target
    if text is None:
        return None
    name, is_own, memories = text.partition("=")
    if not is_own and name.lower() not in (known.lower() for known in TARGETS):
        raise _refusal(text)
    try:
        return Target(name, *_two_numbers(memories)) if is_own else target_named(name)
    except ValueError as error:
        raise _refusal(text) from error


def fits_of(study: optuna.Study, target: Target, numbers: Iterable[int]) -> dict[int, Fit]:
    """How models fit a device, by trial number; those of which flash and RAM are not known apart are left out."""
    trials = study.get_trials(deepcopy=False)
    fits = {number: fit_of(study, TrialRecord(trials[number]), target) for number in numbers}
    return {number: fit for number, fit in fits.items() if fit is not None}


def _two_numbers(text: str) -> tuple[float, float]:
    flash, _, ram = text.partition(",")
    return float(flash), float(ram)


def _refusal(text: str) -> UsageError:
    return UsageError(
        f"--target must be one of {', '.join(TARGETS)}, or a device of your own as NAME=FLASH,RAM in KiB, more than 0, "
        f"such as mine=64,8, got {text}"
    )
