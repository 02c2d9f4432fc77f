"""Which parameters matter: accuracy, or what is expected of it, against the width of one parameter at a time."""

from __future__ import annotations

from qspinn_optuna.significance.measurement import measure_significance
from qspinn_optuna.significance.recording import enqueue_promising, record_significance, recorded_significance
from qspinn_optuna.significance.report import SignificanceReport, WidthCurve, WidthPoint
from qspinn_optuna.significance.sensitivity import SensitivityError, measure_sensitivity
from qspinn_optuna.significance.trials import significance_from_study
from qspinn_optuna.study import Sensitivity, record_sensitivity, recorded_sensitivity

__all__ = [
    "Sensitivity",
    "SensitivityError",
    "SignificanceReport",
    "WidthCurve",
    "WidthPoint",
    "enqueue_promising",
    "measure_sensitivity",
    "measure_significance",
    "record_sensitivity",
    "record_significance",
    "recorded_sensitivity",
    "recorded_significance",
    "significance_from_study",
]
