"""The version of the package that made a study."""

from __future__ import annotations

import importlib.metadata

import optuna

from qspinn_optuna.study.attributes import StudyAttribute, read, write

_PACKAGE = "qspinn_optuna"


def record_version(study: optuna.Study) -> None:
    """Store in a study that this version of the package made it."""
    write(study, StudyAttribute.VERSION, importlib.metadata.version(_PACKAGE))


def other_version(study: optuna.Study) -> str | None:
    """A line that tells which other version of the package made a study; None if it was this one.

    A study of another version is not refused: what its accuracies depend on is in its identity.
    """
    made_by, now = read(study, StudyAttribute.VERSION), importlib.metadata.version(_PACKAGE)
    if made_by == now:
        return None
    version = f"version {made_by}" if made_by else "a version that left no number"
    return f"Study {study.study_name} was made by {version} of {_PACKAGE}, this is {now}: results may differ a little."
