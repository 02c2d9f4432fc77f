"""Accuracies that a study stores beside its trials: the baseline, models on the test set, and controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import cast

import optuna

from qspinn_optuna.study.answers import record_baseline_right
from qspinn_optuna.study.attributes import StudyAttribute, read, write
from qspinn_optuna.workloads import PairedWorkload, Workload, missing_members


@dataclass(frozen=True)
class Baseline:
    """Accuracies of the float network that had the same fine-tuning as the quantized ones.

    Args:
        accuracy: On validation samples, a fraction.
        test_accuracy: On test samples; None as long as it is unknown.
        treatment: What it had after its training, as the quantized ones have, in words; empty if nothing is known.
    """

    accuracy: float
    test_accuracy: float | None = None
    treatment: str = ""


def baseline_of(study: optuna.Study) -> Baseline | None:
    """The baseline of a study; None if it stores none."""
    kept = read(study, StudyAttribute.BASELINE)
    return None if kept is None else Baseline(**kept)


def record_baseline(study: optuna.Study, baseline: Baseline) -> None:
    """Store the baseline in a study, in place of an earlier one."""
    if baseline_of(study) != baseline:
        write(study, StudyAttribute.BASELINE, asdict(baseline))


def ensure_baseline(study: optuna.Study, workload: Workload) -> Baseline:
    """The baseline that a study stores; measured and stored now if it has none, with its answers if they are known."""
    baseline = baseline_of(study)
    if baseline is not None:
        return baseline
    treatment = ""
    if not missing_members(workload, PairedWorkload):
        paired = cast(PairedWorkload, workload)
        answers, treatment = paired.baseline_answers, paired.baseline_treatment
        if answers is not None:
            # First, so that a study with a baseline has them.
            record_baseline_right(study, answers.right)
    baseline = Baseline(float(workload.baseline), treatment=treatment)
    record_baseline(study, baseline)
    return baseline


def accuracies_on_test(study: optuna.Study) -> dict[int, float]:
    """Accuracies of tested trials on the test set, by trial number."""
    kept = read(study, StudyAttribute.TEST_ACCURACIES) or {}
    return {int(number): float(accuracy) for number, accuracy in kept.items()}


def record_test_accuracy(study: optuna.Study, trial_number: int, accuracy: float) -> None:
    """Store the test accuracy of a trial's model in the study, since finished trials cannot change."""
    known = accuracies_on_test(study)
    everything = {**known, trial_number: accuracy}
    write(study, StudyAttribute.TEST_ACCURACIES, {str(number): value for number, value in everything.items()})


def controls_of(study: optuna.Study) -> dict[str, float]:
    """Test accuracies of the networks that the study's models are compared with, by name."""
    return {str(name): float(accuracy) for name, accuracy in (read(study, StudyAttribute.CONTROLS) or {}).items()}


def record_controls(study: optuna.Study, controls: Mapping[str, float]) -> None:
    """Keep test accuracies of networks to compare with in a study, in place of earlier ones."""
    if controls_of(study) != controls:
        write(study, StudyAttribute.CONTROLS, dict(controls))
