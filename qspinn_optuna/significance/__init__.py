"""Significance of parameters: accuracy against the width of one parameter at a time."""

from __future__ import annotations

from qspinn_optuna.significance.measurement import measure_significance
from qspinn_optuna.significance.recording import enqueue_promising, record_significance, recorded_significance
from qspinn_optuna.significance.report import SignificanceReport, WidthCurve, WidthPoint
from qspinn_optuna.significance.trials import significance_from_study

__all__ = [
    "SignificanceReport",
    "WidthCurve",
    "WidthPoint",
    "enqueue_promising",
    "measure_significance",
    "record_significance",
    "recorded_significance",
    "significance_from_study",
]
