"""Reports as a part of studies: beside the trials, for the sampler, and as first trials."""

from __future__ import annotations

import optuna

from qspinn_optuna.significance.report import SignificanceReport
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study import StudyAttribute, measurements, read, record_measurements, write


def record_significance(study: optuna.Study, space: QuantizationSpace, report: SignificanceReport) -> None:
    """Keep a report in a study, in place of an earlier one, and what was measured for its sampler to learn from.

    Args:
        study: A study of :func:`~qspinn_optuna.open_study`.
        space: What was measured. The study may search it, or the space that it was narrowed to.
        report: What was found.
    """
    known = {str(measurement) for measurement in measurements(study)}
    record_measurements(study, (new for new in report.measurements(space) if str(new) not in known))
    write(study, StudyAttribute.SIGNIFICANCE, report.to_dict())


def recorded_significance(study: optuna.Study) -> SignificanceReport | None:
    """The report that a study keeps; None if it has none.

    Raises:
        ValueError: If what it keeps is not a report.
    """
    values = read(study, StudyAttribute.SIGNIFICANCE)
    return None if values is None else SignificanceReport.from_dict(values)


def enqueue_promising(study: optuna.Study, space: QuantizationSpace, report: SignificanceReport) -> int:
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
