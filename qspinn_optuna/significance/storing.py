"""Reports in studies: beside the trials, and for the sampler."""

from __future__ import annotations

import optuna

from qspinn_optuna.significance.report import SignificanceReport
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study import measurements, record_measurements

_REPORT = "qspinn:significance"
"""User attribute of a study."""


def record_significance(study: optuna.Study, space: QuantizationSpace, report: SignificanceReport) -> None:
    """Keep a report in a study, instead of an earlier one, and what was measured for its sampler to learn from.

    Args:
        study: A study of :func:`~qspinn_optuna.open_study`.
        space: What was measured. The study may search it, or the space that it was narrowed to.
        report: What was found.
    """
    known = {str(measurement) for measurement in measurements(study)}
    record_measurements(study, (new for new in report.measurements(space) if str(new) not in known))
    study.set_user_attr(_REPORT, report.to_dict())


def recorded_significance(study: optuna.Study) -> SignificanceReport | None:
    """The report that a study keeps; None if it has none.

    Raises:
        ValueError: If what it keeps is no report.
    """
    values = study.user_attrs.get(_REPORT)
    return None if values is None else SignificanceReport.from_dict(values)
