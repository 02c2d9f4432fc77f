"""The user attributes that a study has, by name: the only code that reads and writes them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import optuna


class StudyAttribute(StrEnum):
    """What a study keeps beside its trials."""

    IDENTITY = "qspinn"
    """What it is of: its space, and what the workload says of itself."""

    BASELINE = "qspinn:baseline"
    """Accuracies of the float network."""

    ACCURACY_FLOOR = "qspinn:accuracy_floor"
    """Accuracy under which a trial is infeasible."""

    MEASUREMENTS = "qspinn:measurements"
    """Configurations that were measured without a trial."""

    SIGNIFICANCE = "qspinn:significance"
    """The report on which parameters matter."""

    TEST_ACCURACIES = "qspinn:test_accuracies"
    """Accuracies of tested trials on the test set."""

    CONTROLS = "qspinn:controls"
    """Accuracies of other networks on the test set, to compare with."""

    CHOICE = "qspinn:choice"
    """The chosen model."""

    SOURCE = "qspinn:source"
    """The file that the study was run from, and the options of the run."""


def read(study: optuna.Study, name: StudyAttribute) -> Any:
    """The value of an attribute, as JSON gives it back; None if the study has none."""
    return study.user_attrs.get(name.value)


def write(study: optuna.Study, name: StudyAttribute, value: Any) -> None:
    """Set an attribute to a value that JSON can hold."""
    study.set_user_attr(name.value, value)
