"""Storing a choice in its study."""

from __future__ import annotations

from dataclasses import replace

import optuna

from qspinn_optuna.front import Candidate, ParetoFront
from qspinn_optuna.selection.choice import Choice
from qspinn_optuna.selection.smallest import SmallestSelector
from qspinn_optuna.study import StudyAttribute, TrialRecord, check_directions, footprint_of, read, write


def record_choice(study: optuna.Study, choice: Choice) -> None:
    """Store a choice in its study, in place of an earlier one.

    Example:
        >>> record_choice(study, choice)
        >>> recorded_choice(study).trial_number == choice.trial_number
        True

    Raises:
        TypeError: If ``choice`` is not a choice.
        ValueError: If the study has other objectives, or does not have the chosen trial.
    """
    if not isinstance(choice, Choice):
        raise TypeError(f"choice must be a Choice, such as SmallestSelector().select(front), got {choice!r}.")
    check_directions(study)
    if not 0 <= choice.trial_number < len(study.get_trials(deepcopy=False)):
        raise ValueError(
            f"choice must be from the front of study {study.study_name!r}, got trial {choice.trial_number}, which the "
            "study does not have."
        )
    write(study, StudyAttribute.CHOICE, choice.to_dict())


def recorded_choice(study: optuna.Study) -> Choice | None:
    """The choice that a study stores; None if there is none.

    Example:
        >>> record_choice(study, choice)
        >>> recorded_choice(study).config == choice.config
        True

    Raises:
        ValueError: If the stored value is not a choice.
    """
    data = read(study, StudyAttribute.CHOICE)
    if data is None:
        return None
    try:
        choice = Choice.from_dict(data)
    except ValueError as error:
        raise ValueError(f"The stored choice of study {study.study_name!r} is damaged: {error}") from error
    return replace(
        choice,
        candidate=_with_flash_and_ram(study, choice.candidate),
        rivals=tuple(_with_flash_and_ram(study, rival) for rival in choice.rivals),
    )


def recorded_or_smallest(study: optuna.Study, front: ParetoFront) -> Choice:
    """The choice that a study keeps; the smallest feasible model if it keeps none.

    Example:
        >>> recorded_or_smallest(study, front).trial_number == choice.trial_number
        True
    """
    return recorded_choice(study) or SmallestSelector().select(front)


def _with_flash_and_ram(study: optuna.Study, candidate: Candidate) -> Candidate:
    """A candidate of a choice of before, with what its trial tells of flash and RAM."""
    trials = study.get_trials(deepcopy=False)
    if candidate.flash_kib is not None or candidate.trial_number >= len(trials):
        return candidate
    footprint = footprint_of(study, TrialRecord(trials[candidate.trial_number]))
    if footprint is None:
        return candidate
    return replace(candidate, flash_kib=footprint.flash_kib, ram_kib=footprint.ram_kib)
