"""Opening a study: as Optuna does, with what it searches written into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
import sqlalchemy
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, RDBStorage

from qspinn_optuna.sampler import MemoryAwareSampler
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study import DIRECTIONS, check_identity, identify, identity_of

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
        sampler: ``MemoryAwareSampler(space)`` if not given, without a seed: give one to repeat a study.
        settings: Plain values on which accuracies depend, such as ``workload.describe()``. A study goes on only with
            those it began with.

    Raises:
        TypeError: If ``space`` is no space, ``storage`` neither URL nor storage, or a setting nothing that JSON holds.
        ValueError: If the storage cannot be opened, or the study has other directions, another space or other
            settings; it is left as it was.
    """
    if not isinstance(space, QuantizationSpace):
        raise TypeError(f"space must be a QuantizationSpace, got {type(space).__name__}.")
    if storage is not None and not isinstance(storage, str | BaseStorage):
        raise TypeError(f'storage must be a URL such as "sqlite:///qspinn.db" or a storage of Optuna, got {storage!r}.')
    opened = _open_storage(storage) if isinstance(storage, str) else storage
    sampler = _default_sampler(space) if sampler is None else sampler
    identity = identity_of(space, settings or {})
    if opened is not None and name in optuna.get_all_study_names(opened):
        study = optuna.load_study(study_name=name, storage=opened, sampler=sampler)
        check_identity(study, identity)
        return study
    study = optuna.create_study(study_name=name, storage=opened, sampler=sampler, directions=DIRECTIONS)
    identify(study, identity)
    return study


def _default_sampler(space: QuantizationSpace) -> BaseSampler:
    # Of one configuration there is nothing to model.
    return MemoryAwareSampler(space) if space.cardinality > 1 else optuna.samplers.RandomSampler()


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
