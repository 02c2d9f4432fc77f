"""The choice as a part of its study."""

from __future__ import annotations

import optuna

from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.study import check_directions

_CHOICE = "qspinn:choice"
"""User attribute of a study that holds what was chosen of it."""


def store_choice(study: optuna.Study, choice: Choice) -> None:
    """Keep a choice in its study, where it survives with the storage; an earlier one is replaced.

    Raises:
        TypeError: If ``choice`` is no choice.
        ValueError: If the study has other objectives, or no trial of the number of the choice.
    """
    if not isinstance(choice, Choice):
        raise TypeError(f"choice must be a Choice, such as TradeOffSelector(0.1).select(front), got {choice!r}.")
    check_directions(study)
    if not 0 <= choice.trial_number < len(study.get_trials(deepcopy=False)):
        raise ValueError(
            f"choice must be one of study {study.study_name!r}, which has no trial {choice.trial_number}: was it "
            "chosen from the front of another study?"
        )
    study.set_user_attr(_CHOICE, choice.to_dict())


def stored_choice(study: optuna.Study) -> Choice | None:
    """The choice that :func:`store_choice` kept in a study; None if there is none.

    Raises:
        ValueError: If what is kept there is no choice.
    """
    data = study.user_attrs.get(_CHOICE)
    if data is None:
        return None
    try:
        return Choice.from_dict(data)
    except ValueError as error:
        raise ValueError(
            f"User attribute {_CHOICE!r} of study {study.study_name!r} holds no choice: {error}"
        ) from error
