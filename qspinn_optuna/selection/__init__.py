"""Rules that choose one model of a front, and name the models that might have been chosen as well."""

from __future__ import annotations

from qspinn_optuna.selection.budget import BudgetSelector
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.confirmation import Confirmed, check_confirmable, confirm
from qspinn_optuna.selection.function import FunctionSelector
from qspinn_optuna.selection.knee import KneeSelector
from qspinn_optuna.selection.one_standard_error import OneStandardErrorSelector
from qspinn_optuna.selection.recording import record_choice, recorded_choice, recorded_or_smallest
from qspinn_optuna.selection.risk import Risk, StudyRisk
from qspinn_optuna.selection.rules import RULES, other_choices
from qspinn_optuna.selection.selector import Selector
from qspinn_optuna.selection.smallest import SmallestSelector
from qspinn_optuna.selection.steps import Step, steps_from, steps_table
from qspinn_optuna.selection.sweep import MuInterval, sweep_mu
from qspinn_optuna.selection.tolerance import ToleranceSelector
from qspinn_optuna.selection.trade_off import TradeOffSelector

__all__ = [
    "RULES",
    "BudgetSelector",
    "Choice",
    "Confirmed",
    "FunctionSelector",
    "KneeSelector",
    "MuInterval",
    "OneStandardErrorSelector",
    "Risk",
    "Selector",
    "SmallestSelector",
    "Step",
    "StudyRisk",
    "ToleranceSelector",
    "TradeOffSelector",
    "check_confirmable",
    "confirm",
    "other_choices",
    "record_choice",
    "recorded_choice",
    "recorded_or_smallest",
    "steps_from",
    "steps_table",
    "sweep_mu",
]
