"""Studies that know what they search."""

from __future__ import annotations

import json
import operator
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import optuna
import sqlalchemy
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from qspinn_optuna.space import QuantizationSpace

METRICS = ("memory_kib", "accuracy")
DIRECTIONS = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)

_IDENTITY = "qspinn"
"""User attribute of a study that says what it searches."""

_MEASUREMENTS = "qspinn:measurements"
"""User attribute of a study that holds what was measured beside its trials."""

_SQLITE_TIMEOUT = 60
"""Seconds to wait for another process that writes."""


def open_study(
    name: str,
    storage: str | BaseStorage | None,
    space: QuantizationSpace,
    sampler: BaseSampler | None = None,
    settings: Mapping[str, Any] | None = None,
) -> optuna.Study:
    """Open a study of ``space``, or make it if there is none of that name.

    Args:
        name: Name of the study.
        storage: URL of a database such as "sqlite:///qspinn.db", or a storage of Optuna; in memory if None.
        space: What is searched.
        sampler: Optuna's multivariate TPE if not given, without a seed: give one to repeat a study.
        settings: Plain values on which accuracies depend, such as ``workload.describe()``. A study goes on only with
            those it began with.

    Raises:
        TypeError: If ``space`` is no space, or ``storage`` neither URL nor storage.
        ValueError: If the storage cannot be opened, or the study has other directions, another space or other
            settings; it is left as it was.
    """
    sampler = optuna.samplers.TPESampler(multivariate=True) if sampler is None else sampler
    if not isinstance(space, QuantizationSpace):
        raise TypeError(f"space must be a QuantizationSpace, got {type(space).__name__}.")
    if storage is not None and not isinstance(storage, str | BaseStorage):
        raise TypeError(f'storage must be a URL such as "sqlite:///qspinn.db" or a storage of Optuna, got {storage!r}.')
    opened = _open_storage(storage) if isinstance(storage, str) else storage
    identity = json.loads(json.dumps({"space": space.to_dict(), "settings": dict(settings or {})}))
    if opened is not None and name in optuna.get_all_study_names(opened):
        study = optuna.load_study(study_name=name, storage=opened, sampler=sampler)
        _check_identity(study, identity)
        return study
    study = optuna.create_study(study_name=name, storage=opened, sampler=sampler, directions=DIRECTIONS)
    with warnings.catch_warnings():
        # Setting the names is marked as experimental; the dashboard shows them.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(METRICS))
    study.set_user_attr(_IDENTITY, identity)
    return study


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


def space_of(study: optuna.Study) -> dict[str, Any] | None:
    """The description of the space that :func:`open_study` gave to a study; None if another program made it."""
    identity: dict[str, Any] = study.user_attrs.get(_IDENTITY, {})
    return identity.get("space")


def check_directions(study: optuna.Study) -> None:
    """Refuse a study whose objectives are not memory to minimize and accuracy to maximize.

    Raises:
        ValueError: If they are not.
    """
    if tuple(study.directions) != DIRECTIONS:
        directions = [direction.name.lower() for direction in study.directions]
        raise ValueError(
            f"Study {study.study_name!r} must minimize memory and maximize accuracy, in that order, "
            f"got directions {directions}: give another study name."
        )


def is_feasible(trial: FrozenTrial, accuracy_floor: float | None = None) -> bool:
    """Whether a finished trial reaches the floor; without one, whether it keeps its own constraints."""
    if accuracy_floor is not None:
        return bool(trial.values[1] >= accuracy_floor)
    return all(value <= 0 for value in trial.constraints.values())


def _open_storage(url: str) -> RDBStorage:
    sqlite = url.startswith("sqlite")
    try:
        storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _SQLITE_TIMEOUT}} if sqlite else None)
        if sqlite:
            # Writers do not wait for readers then: several workers, or the dashboard beside a running study.
            with storage.engine.connect() as connection:
                connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'storage must be the URL of a database that can be opened, such as "sqlite:///qspinn.db", got {url!r}: '
            f"{reason}"
        ) from error
    return storage


def _check_identity(study: optuna.Study, identity: dict[str, Any]) -> None:
    check_directions(study)
    known = study.user_attrs.get(_IDENTITY)
    if known is None:
        raise ValueError(f"Study {study.study_name!r} was made by another program: give another study name.")
    differences = [
        f"{part}.{key} was {json.dumps(old)}, now {json.dumps(new)}"
        for part in ("settings", "space")
        for key, old, new in _differences(known.get(part, {}), identity[part])
    ]
    if differences:
        raise ValueError(
            f"Study {study.study_name!r} began differently: {'; '.join(differences)}. "
            "Go on with what it began with, or give another study name (--study-name of the studies)."
        )


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
