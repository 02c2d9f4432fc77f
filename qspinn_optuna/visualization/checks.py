"""Checks of the arguments of figures."""

from __future__ import annotations

import optuna

from qspinn_optuna.selection import Choice
from qspinn_optuna.study import TrialRecord, check_directions, finished_trials


def finished_records(study: optuna.Study) -> list[TrialRecord]:
    """The records of the finished trials of a study whose values are finite, by number.

    Raises:
        TypeError: If ``study`` is not a study.
        ValueError: If it has other objectives, trials of another program, or no finished trial.
    """
    if not isinstance(study, optuna.Study):
        raise TypeError(f"study must be an optuna.Study, got {type(study).__name__}.")
    check_directions(study)
    records = [TrialRecord(trial) for trial in finished_trials(study)]
    if not records:
        raise ValueError(f"Study {study.study_name!r} has no finished trial to show: run some trials first.")
    for record in records:
        if not record.is_complete or record.memory_kib <= 0:
            raise ValueError(
                f"Trial {record.number} of study {study.study_name!r} was made by another program: figures need "
                "positive memories, and the configuration and footprint that QuantizationObjective stores."
            )
    return records


def check_choice(choice: Choice | None) -> None:
    """Refuse an argument that is neither a choice nor None.

    Raises:
        TypeError: If ``choice`` is something else.
    """
    if choice is not None and not isinstance(choice, Choice):
        raise TypeError(
            f"choice must be a Choice, such as SmallestSelector().select(front), got {type(choice).__name__}."
        )
