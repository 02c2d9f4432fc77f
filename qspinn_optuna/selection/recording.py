"""The choice as a part of its study."""

from __future__ import annotations

import optuna

from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.study import StudyAttribute, check_directions, read, write


def record_choice(study: optuna.Study, choice: Choice) -> None:
    """Keep a choice in its study, where it survives with the storage; an earlier one is replaced.

    Raises:
        TypeError: If ``choice`` is not a choice.
        ValueError: If the study has other objectives, or no trial of the number of the choice.
    """
    if not isinstance(choice, Choice):
        raise TypeError(f"choice must be a Choice, such as SmallestSelector().select(front), got {choice!r}.")
    check_directions(study)
    if not 0 <= choice.trial_number < len(study.get_trials(deepcopy=False)):
        raise ValueError(
            f"choice must be one of study {study.study_name!r}, which has no trial {choice.trial_number}: was it "
            "chosen from the front of another study?"
        )
    write(study, StudyAttribute.CHOICE, choice.to_dict())


def recorded_choice(study: optuna.Study) -> Choice | None:
    """The choice that a study keeps; None if there is none.

    Raises:
        ValueError: If what it keeps is not a choice.
    """
    data = read(study, StudyAttribute.CHOICE)
    if data is None:
        return None
    try:
        return Choice.from_dict(data)
    except ValueError as error:
        raise ValueError(f"The choice that study {study.study_name!r} keeps is damaged: {error}") from error
