"""What can be drawn: refusals that name the argument and what would do."""

from __future__ import annotations

import math

import optuna
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.front import ParetoFront
from qspinn_optuna.selection import Choice
from qspinn_optuna.study import check_directions


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The finished trials of a study, by number; those whose values are not finite are left out.

    Raises:
        TypeError: If ``study`` is no study.
        ValueError: If it has other objectives, trials of another program, or no finished trial.
    """
    if not isinstance(study, optuna.Study):
        raise TypeError(f"study must be an optuna.Study, got {type(study).__name__}.")
    check_directions(study)
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    shown = [trial for trial in finished if all(math.isfinite(value) for value in trial.values)]
    if not shown:
        not_finite = f", and {len(finished)} whose values are not finite" if finished else ""
        raise ValueError(
            f"Study {study.study_name!r} has no finished trial to show{not_finite}: run study.optimize first."
        )
    for trial in shown:
        if not {"config", "footprint"} <= trial.user_attrs.keys() or trial.values[0] <= 0:
            raise ValueError(
                f"Trial {trial.number} of study {study.study_name!r} was made by another program: figures need "
                "positive memories and the user attributes 'config' and 'footprint' that QuantizationObjective keeps."
            )
    return shown


def check_front(front: ParetoFront) -> None:
    """Refuse what is no front that can be drawn.

    Raises:
        TypeError: If ``front`` is no front.
        ValueError: If it is empty, or a memory or accuracy is not a finite number.
    """
    if not isinstance(front, ParetoFront):
        raise TypeError(
            f"front must be a ParetoFront, such as ParetoFront.from_study(study), got {type(front).__name__}."
        )
    if len(front) == 0:
        raise ValueError("front must have at least one candidate, got none.")
    for candidate in front:
        measured = (candidate.memory_kib, candidate.compression, candidate.accuracy)
        if not all(math.isfinite(value) for value in measured) or candidate.memory_kib <= 0:
            raise ValueError(
                f"front must have finite accuracies and positive memories, got {candidate.memory_kib} KiB and accuracy "
                f"{candidate.accuracy} of trial {candidate.trial_number}."
            )


def check_choice(choice: Choice | None) -> None:
    """Refuse what is neither a choice nor None.

    Raises:
        TypeError: If it is something else.
    """
    if choice is not None and not isinstance(choice, Choice):
        raise TypeError(
            f"choice must be a Choice, such as TradeOffSelector(0.1).select(front), got {type(choice).__name__}."
        )


def check_fraction(name: str, value: float | None) -> None:
    """Refuse what is neither a fraction nor None.

    Raises:
        ValueError: If it is outside 0-1 or not a number.
    """
    if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
        raise ValueError(f"{name} must be a fraction between 0 and 1, got {value!r}.")
