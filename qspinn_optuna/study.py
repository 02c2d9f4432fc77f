"""What a study is of, and what it keeps beside its trials."""

from __future__ import annotations

import json
import operator
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from qspinn_optuna.space import QuantizationSpace

METRICS = ("memory_kib", "accuracy")
DIRECTIONS = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)

_IDENTITY = "qspinn"
"""User attribute of a study that says what it searches."""

_MEASUREMENTS = "qspinn:measurements"
"""User attribute of a study that holds what was measured beside its trials."""

_TOLD, _TOLD_LENGTH = 5, 80
"""How many differences between studies an error tells, and characters of each value."""


def identity_of(space: QuantizationSpace, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a study is of, as its storage will give it back.

    Args:
        space: What is searched.
        settings: Plain values on which accuracies depend.

    Raises:
        TypeError: If ``settings`` are no mapping, or nothing that JSON can hold.
    """
    if not isinstance(settings, Mapping):
        raise TypeError(f"settings must be a mapping, such as workload.describe(), got {type(settings).__name__}.")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(settings), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(f"settings must be values that JSON can hold, got {dict(settings)!r}: {error}") from error
    return {"space": description_of(space), "settings": plain}


def description_of(space: QuantizationSpace) -> dict[str, Any]:
    """A space as a storage gives it back: in JSON, tuples are lists."""
    description: dict[str, Any] = json.loads(json.dumps(space.to_dict()))
    return description


def identify(study: optuna.Study, identity: Mapping[str, Any]) -> None:
    """Write into a study without trials what it is of and how its objectives are called."""
    with warnings.catch_warnings():
        # Setting the names is marked as experimental; the dashboard shows them.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(METRICS))
    study.set_user_attr(_IDENTITY, identity)


def is_new(study: optuna.Study) -> bool:
    """Whether a study has neither an identity nor trials: it was made a moment ago, or nothing is lost."""
    return _IDENTITY not in study.user_attrs and tuple(study.directions) == DIRECTIONS and not study.get_trials(False)


def check_identity(study: optuna.Study, identity: Mapping[str, Any]) -> None:
    """Refuse a study that is of something else.

    Raises:
        ValueError: If its directions, space or settings differ, or another program made it.
    """
    check_directions(study)
    known = study.user_attrs.get(_IDENTITY)
    if known is None:
        raise ValueError(f"Study {study.study_name!r} was made by another program: give another study name.")
    differences = [
        f"{part}.{key} was {_shortened(old)}, now {_shortened(new)}"
        for part in ("settings", "space")
        for key, old, new in _differences(known.get(part, {}), identity[part])
    ]
    if differences:
        more = len(differences) - _TOLD
        told = "; ".join(differences[:_TOLD]) + (f"; and {more} more that differ" if more > 0 else "")
        raise ValueError(
            f"Study {study.study_name!r} began differently: {told}. "
            "Go on with what it began with, or give another study name."
        )


def space_of(study: optuna.Study) -> dict[str, Any] | None:
    """The description of the space that a study searches; None if another program made the study."""
    identity: dict[str, Any] = study.user_attrs.get(_IDENTITY, {})
    return identity.get("space")


def check_space(study: optuna.Study, description: Mapping[str, Any]) -> None:
    """Refuse a space, by its description, that is not the one that a study says it searches.

    Raises:
        ValueError: If it is another.
    """
    searched = space_of(study)
    if searched is not None and searched != description:
        raise ValueError(
            f"space must be the one that study {study.study_name!r} searches, got another: give the sampler and the "
            "objective the same space as open_study."
        )


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


def check_floor(accuracy_floor: float | None) -> None:
    """Refuse a floor that is no fraction; None is no floor.

    Raises:
        ValueError: If it is none.
    """
    if accuracy_floor is not None and not (isinstance(accuracy_floor, Real) and 0 <= accuracy_floor <= 1):
        raise ValueError(f"accuracy_floor must be a fraction between 0 and 1, got {accuracy_floor!r}.")


def is_feasible(trial: FrozenTrial, accuracy_floor: float | None = None) -> bool:
    """Whether a finished trial reaches the floor; without one, whether it keeps its own constraints."""
    if accuracy_floor is not None:
        return bool(trial.values[1] >= accuracy_floor)
    return all(value <= 0 for value in trial.constraints.values())


@dataclass(frozen=True)
class Measurement:
    """What was measured of a configuration beside the trials of a study.

    Args:
        params: The configuration, as ``space.params`` gives it.
        correct: Correct answers,
        seen: among that many samples.

    Raises:
        ValueError: If not 0 <= correct <= seen > 0.
    """

    params: Mapping[str, Any]
    correct: int
    seen: int

    def __post_init__(self) -> None:
        for name in ("correct", "seen"):
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        object.__setattr__(self, "params", dict(self.params))
        if not 0 <= self.correct <= self.seen or self.seen == 0:
            raise ValueError(
                f"A measurement must have 0 <= correct <= seen > 0, got correct={self.correct} and seen={self.seen}."
            )


def record_measurements(study: optuna.Study, new: Iterable[Measurement]) -> None:
    """Keep measurements in a study, after those that it has; samplers may learn from them.

    One process at a time should: of two at once, the later one's stay.
    """
    study.set_user_attr(_MEASUREMENTS, [asdict(measurement) for measurement in (*measurements(study), *new)])


def measurements(study: optuna.Study) -> list[Measurement]:
    """What was recorded in a study beside its trials."""
    return [Measurement(**entry) for entry in study.user_attrs.get(_MEASUREMENTS, [])]


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """(key, old value, new value) of what differs, nested dicts by dotted keys."""
    found: list[tuple[str, Any, Any]] = []
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            found += _differences(was, now, f"{prefix}{key}.")
        elif was != now:
            found.append((f"{prefix}{key}", was, now))
    return found


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _TOLD_LENGTH else f"{text[:_TOLD_LENGTH]}..."
