"""Second measurements of models, which a study stores one by one, so that several processes may add some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import optuna

from qspinn_optuna.study.answers import Right, packed, unpacked
from qspinn_optuna.study.records import Counts
from qspinn_optuna.workloads import Fresh

_ATTRIBUTE = "qspinn:confirmation"
"""System attributes of a study begin with it; what is fresh and the number of the trial follow."""

_BASELINE = "baseline"
"""In place of the number of a trial."""


@dataclass(frozen=True, eq=False)
class Confirmation:
    """Counts of a model that was measured again.

    Args:
        fresh: What was fresh.
        counts: Its counts.
        right: Which samples are right; None if only counts are known.
        fingerprint: Of the samples, see :class:`~qspinn_optuna.workloads.ConfirmableWorkload`.
    """

    fresh: Fresh
    counts: Counts
    right: Right | None = None
    fingerprint: str = ""


def record_confirmation(study: optuna.Study, trial_number: int | None, confirmation: Confirmation) -> None:
    """Store the second measurement of a trial's model, or of the baseline, in place of an earlier one.

    The samples of a study are those of its baseline: measurements of models on others are none any more.

    Args:
        study: The study.
        trial_number: The trial; None for the baseline.
        confirmation: The measurement.
    """
    counts = confirmation.counts
    value: dict[str, Any] = {
        "correct": counts.correct,
        "seen": counts.seen,
        "fingerprint": confirmation.fingerprint,
    }
    if confirmation.right is not None:
        value["answers"] = packed(confirmation.right)
    study._storage.set_study_system_attr(study._study_id, _name(confirmation.fresh, trial_number), value)


def confirmation_of(study: optuna.Study, trial_number: int | None, fresh: Fresh) -> Confirmation | None:
    """What :func:`record_confirmation` stored; None if nothing, damaged, or on other samples than the baseline."""
    attributes = study._storage.get_study_system_attrs(study._study_id)
    found, baseline = (_read(attributes.get(_name(fresh, number)), fresh) for number in (trial_number, None))
    is_known = found is not None and baseline is not None and found.fingerprint == baseline.fingerprint
    return found if is_known else None


def _read(kept: Any, fresh: Fresh) -> Confirmation | None:
    try:
        counts = Counts(int(kept["correct"]), int(kept["seen"]))
        right = unpacked(kept.get("answers"))
    except (TypeError, KeyError, ValueError, AttributeError):
        return None
    if right is not None and (int(right.sum()), len(right)) != (counts.correct, counts.seen):
        return None
    fingerprint = str(kept.get("fingerprint", ""))
    return Confirmation(fresh, counts, right, fingerprint) if 0 <= counts.correct <= counts.seen > 0 else None


def confirmations_of(study: optuna.Study, fresh: Fresh) -> dict[int, Confirmation]:
    """All second measurements of models, by trial number."""
    begin = f"{_ATTRIBUTE}:{fresh.name.lower()}:"
    names = [name for name in study._storage.get_study_system_attrs(study._study_id) if name.startswith(begin)]
    numbers = sorted(int(name.removeprefix(begin)) for name in names if name.removeprefix(begin).isdecimal())
    found = {number: confirmation_of(study, number, fresh) for number in numbers}
    return {number: confirmation for number, confirmation in found.items() if confirmation is not None}


def _name(fresh: Fresh, trial_number: int | None) -> str:
    return f"{_ATTRIBUTE}:{fresh.name.lower()}:{_BASELINE if trial_number is None else trial_number}"
