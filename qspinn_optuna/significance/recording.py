"""Storing reports in studies, and enqueuing the configurations that they suggest."""

from __future__ import annotations

import optuna

from qspinn_optuna.significance.report import SignificanceReport
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study import StudyAttribute, measurements, read, record_measurements, write


def record_significance(study: optuna.Study, space: QuantizationSpace, report: SignificanceReport) -> None:
    """Store a report in a study, in place of an earlier one, and its measurements, from which the sampler learns.

    Example:
        >>> study = open_study("significance", None, space, workload=workload)
        >>> record_significance(study, space, report)
        >>> recorded_significance(study).ranking == report.ranking
        True

    Args:
        study: A study of :func:`~qspinn_optuna.open_study`.
        space: The measured space. The study may search it, or the space that it was narrowed to.
        report: The report.
    """
    known = {str(measurement) for measurement in measurements(study)}
    record_measurements(study, (new for new in report.measurements(space) if str(new) not in known))
    write(study, StudyAttribute.SIGNIFICANCE, report.to_dict())


def recorded_significance(study: optuna.Study) -> SignificanceReport | None:
    """The report that a study stores; None if there is none.

    Example:
        >>> record_significance(study, space, report)
        >>> recorded_significance(study).narrowest
        {'fc.weight': 5, 'lif.v': 5}

    Raises:
        ValueError: If the stored value is not a report.
    """
    values = read(study, StudyAttribute.SIGNIFICANCE)
    return None if values is None else SignificanceReport.from_dict(values)


def enqueue_promising(study: optuna.Study, space: QuantizationSpace, report: SignificanceReport) -> int:
    """Enqueue the promising configurations of a report, see :meth:`SignificanceReport.promising`.

    Example:
        >>> study = open_study("promising", None, space, workload=workload)
        >>> enqueue_promising(study, space, report) == len(study.trials)
        True

    Args:
        study: The study, which searches ``space``.
        space: The searched space, narrowed by the report or not.
        report: A report on that space, or on the space before it was narrowed.

    Returns:
        The number of trials that the study did not have before.
    """
    before = len(study.trials)
    for params in report.promising(space):
        study.enqueue_trial(params, skip_if_exists=True)
    return len(study.trials) - before
