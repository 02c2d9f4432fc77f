"""Which samples are right, as a study stores it: a bit a sample, in system attributes, which no page lists."""

from __future__ import annotations

import base64
import binascii
from enum import StrEnum
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

Right = NDArray[np.bool_]
"""Whether each sample is right, [samples], in the order of the evaluation."""


class AnswersAttribute(StrEnum):
    """Names of system attributes."""

    RIGHT = "qspinn:right"
    """Of a trial: the samples that it had right, as far as it was evaluated."""

    BASELINE = "qspinn:baseline_right"
    """Of a study: the samples that its baseline had right."""


def packed(right: Right) -> dict[str, Any]:
    """Answers as a storage keeps them: their number, and a bit each in base64."""
    return {"seen": len(right), "right": base64.b64encode(np.packbits(right).tobytes()).decode()}


def unpacked(kept: Any) -> Right | None:
    """The answers that :func:`packed` was given; None if ``kept`` is nothing that it returns."""
    try:
        data, seen = base64.b64decode(kept["right"], validate=True), kept["seen"]
    except (TypeError, KeyError, ValueError, binascii.Error):
        return None
    if not isinstance(seen, int) or len(data) != (seen + 7) // 8:
        return None
    return np.unpackbits(np.frombuffer(data, np.uint8), count=seen).astype(bool)


def record_right(trial: optuna.Trial, right: Right) -> None:
    """Store in a running trial which samples are right."""
    trial.study._storage.set_trial_system_attr(trial._trial_id, AnswersAttribute.RIGHT.value, packed(right))


def right_of_trial(trial: FrozenTrial) -> Right | None:
    """Which samples a trial had right; None if it does not tell."""
    return unpacked(trial.system_attrs.get(AnswersAttribute.RIGHT.value))


def record_baseline_right(study: optuna.Study, right: Right) -> None:
    """Store in a study which samples its baseline had right."""
    study._storage.set_study_system_attr(study._study_id, AnswersAttribute.BASELINE.value, packed(right))


def baseline_right_of(study: optuna.Study) -> Right | None:
    """Which samples the baseline of a study had right; None if the study does not tell."""
    return unpacked(study._storage.get_study_system_attrs(study._study_id).get(AnswersAttribute.BASELINE.value))
