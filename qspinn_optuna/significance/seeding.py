"""Begin a study with what a report promises."""

from __future__ import annotations

import optuna

from qspinn_optuna.significance.report import SignificanceReport
from qspinn_optuna.space import QuantizationSpace


def seed_study(study: optuna.Study, space: QuantizationSpace, report: SignificanceReport) -> int:
    """Enqueue the configurations in which every parameter has the width that suffices alone, and up to two bits more.

    Args:
        study: The study, which searches ``space``.
        space: What is searched, narrowed by the report or not.
        report: Measured in that space, or before it was narrowed.

    Returns:
        The number of trials that the study did not have before.
    """
    before = len(study.trials)
    for params in report.promising(space):
        study.enqueue_trial(params, skip_if_exists=True)
    return len(study.trials) - before
