"""The two objectives of a study: names, directions, values, and feasibility of trials."""

from __future__ import annotations

import math
from numbers import Real

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from qspinn_optuna.study.attributes import StudyAttribute, read, write

OBJECTIVES = ("memory_kib", "accuracy")
DIRECTIONS = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)

FLOOR_CONSTRAINT = "accuracy_floor"
"""Name of the constraint of the accuracy floor, whose value is the floor minus the accuracy."""

_OLDER_CONSTRAINTS = "constraints"
"""System attribute in which Optuna before 5.0 stored a trial's list of constraints."""


def memory_of(trial: FrozenTrial) -> float:
    """Memory of a finished trial in KiB."""
    return float(trial.values[0])


def accuracy_of(trial: FrozenTrial) -> float:
    """Accuracy of a finished trial, a fraction."""
    return float(trial.values[1])


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The completed trials whose values are finite, by number."""
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in completed if all(math.isfinite(value) for value in trial.values)]


def accuracy_floor(study: optuna.Study) -> float | None:
    """Accuracy below which a trial of the study is infeasible, a fraction; None if the study has no floor."""
    floor = read(study, StudyAttribute.ACCURACY_FLOOR)
    return None if floor is None else float(floor)


def set_accuracy_floor(study: optuna.Study, floor: float | None) -> None:
    """Store the accuracy floor of a study. It applies to finished trials as well.

    The constraints that finished trials store for Optuna's own samplers and the dashboard remain those of the earlier
    floor.

    Args:
        study: The study.
        floor: The accuracy floor, a fraction; None for no floor.

    Raises:
        ValueError: If ``floor`` is not a fraction between 0 and 1.
    """
    if floor is not None and not (isinstance(floor, Real) and not isinstance(floor, bool) and 0 <= floor <= 1):
        raise ValueError(f"floor must be a fraction between 0 and 1, got {floor!r}.")
    if accuracy_floor(study) != floor:
        write(study, StudyAttribute.ACCURACY_FLOOR, None if floor is None else float(floor))


def constrain(trial: optuna.Trial, floor: float, accuracy: float) -> None:
    """Store the floor minus the accuracy of a trial as an Optuna constraint.

    Optuna's samplers read the constraint, optuna-dashboard reads the older attribute to grey out infeasible trials.
    """
    missing = floor - accuracy
    trial.set_constraint(FLOOR_CONSTRAINT, missing)
    trial.study._storage.set_trial_system_attr(trial._trial_id, _OLDER_CONSTRAINTS, [missing])


def is_feasible(trial: FrozenTrial, floor: float | None) -> bool:
    """Whether a finished trial reaches the accuracy floor and satisfies its constraints.

    Args:
        trial: The trial.
        floor: The accuracy floor of its study; with None, only the stored constraints of the trial count.
    """
    constraints = trial.constraints
    if floor is not None:
        if accuracy_of(trial) < floor:
            return False
        # The stored constraint of the floor is that of the time when the trial ran.
        constraints = {
            name: value for name, value in constraints.items() if name != FLOOR_CONSTRAINT and not name.isdecimal()
        }
    return all(value <= 0 for value in constraints.values())


def check_directions(study: optuna.Study) -> None:
    """Refuse a study whose objectives are not memory to minimize and accuracy to maximize.

    Raises:
        ValueError: If they are not.
    """
    if tuple(study.directions) != DIRECTIONS:
        directions = [direction.name.lower() for direction in study.directions]
        raise ValueError(
            f"Study {study.study_name!r} must minimize memory and maximize accuracy, in that order, "
            f"got directions {directions}: give another study name, or a new study these directions."
        )
