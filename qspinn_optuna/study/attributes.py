"""The user attributes of a study: the only code that reads and writes them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import optuna


class StudyAttribute(StrEnum):
    """Names of the user attributes of a study."""

    IDENTITY = "qspinn"
    """Its space, and the description of its workload."""

    VERSION = "qspinn:version"
    """The version of the package that made it."""

    BASELINE = "qspinn:baseline"
    """Accuracies of the float network."""

    ACCURACY_FLOOR = "qspinn:accuracy_floor"
    """Accuracy below which a trial is infeasible."""

    MEASUREMENTS = "qspinn:measurements"
    """Configurations that were measured without a trial."""

    SIGNIFICANCE = "qspinn:significance"
    """The report on the significance of parameters."""

    SENSITIVITY = "qspinn:sensitivity"
    """What every parameter alone is expected to lose."""

    TEST_ACCURACIES = "qspinn:test_accuracies"
    """Accuracies of tested trials on the test set."""

    CONTROLS = "qspinn:controls"
    """Accuracies of other networks on the test set, to compare with."""

    CHOICE = "qspinn:choice"
    """The chosen model."""

    SOURCE = "qspinn:source"
    """The file that the study was run from, and the options of the run."""


def read(study: optuna.Study, name: StudyAttribute) -> Any:
    """The value of an attribute, decoded from JSON; None if the study does not have it."""
    return study.user_attrs.get(name.value)


def write(study: optuna.Study, name: StudyAttribute, value: Any) -> None:
    """Set an attribute to a value for JSON."""
    study.set_user_attr(name.value, value)
