"""Opening a study: as Optuna does, with what it searches written into it."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
import sqlalchemy
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, RDBStorage, RetryHeartbeatStaleTrialCallback

from qspinn_optuna.sampler import MemoryAwareSampler
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study import DIRECTIONS, check_identity, description_of, identify, identity_of, is_new

_SQLITE_TIMEOUT = 60
"""Seconds to wait for another process that writes."""

_HEARTBEAT = 60
"""Seconds after which a running trial says that it is alive; one that does not twice is tried again."""

_ATTEMPTS = 20
"""Of opening a database whose tables another process is making."""


def open_study(
    name: str,
    storage: str | BaseStorage | None,
    space: QuantizationSpace,
    sampler: BaseSampler | None = None,
    settings: Mapping[str, Any] | None = None,
) -> optuna.Study:
    """Open a study of ``space``, or make it if there is none of that name.

    Workers may open it at the same moment. In a database that is given by its URL, a trial whose process was killed is
    queued again a few minutes later, when any worker begins another one.

    Args:
        name: Name of the study.
        storage: URL of a database such as "sqlite:///qspinn.db", or a storage of Optuna; in memory if None.
        space: What is searched.
        sampler: ``MemoryAwareSampler(space)`` if not given, without a seed: give one to repeat a study.
        settings: Plain values on which accuracies depend, such as ``workload.describe()``. A study goes on only with
            those it began with.

    Raises:
        TypeError: If ``name`` is no string, ``space`` no space, ``storage`` neither URL nor storage, ``sampler`` no
            sampler, or ``settings`` hold what JSON does not.
        ValueError: If the storage cannot be opened, the sampler is of another space, or the study has other directions,
            another space or other settings; it is left as it was.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {name!r}.")
    if not isinstance(space, QuantizationSpace):
        raise TypeError(f"space must be a QuantizationSpace, got {type(space).__name__}.")
    if storage is not None and not isinstance(storage, str | BaseStorage):
        raise TypeError(f'storage must be a URL such as "sqlite:///qspinn.db" or a storage of Optuna, got {storage!r}.')
    identity = identity_of(space, {} if settings is None else settings)
    sampler = _default_sampler(space) if sampler is None else sampler
    _check_sampler(sampler, identity["space"])
    opened = _open_storage(storage) if isinstance(storage, str) else storage
    study = optuna.create_study(
        study_name=name, storage=opened, sampler=sampler, directions=DIRECTIONS, load_if_exists=True
    )
    if is_new(study):
        identify(study, identity)
    else:
        check_identity(study, identity)
    return study


def _default_sampler(space: QuantizationSpace) -> BaseSampler:
    # Of one configuration there is nothing to model.
    return MemoryAwareSampler(space) if space.cardinality > 1 else optuna.samplers.RandomSampler()


def _check_sampler(sampler: BaseSampler, description: Mapping[str, Any]) -> None:
    if not isinstance(sampler, BaseSampler):
        raise TypeError(f"sampler must be a sampler of Optuna, such as MemoryAwareSampler(space), got {sampler!r}.")
    if isinstance(sampler, MemoryAwareSampler) and description_of(sampler.space) != description:
        raise ValueError("sampler must be of the same space as the study, got a MemoryAwareSampler of another space.")


def _open_storage(url: str) -> RDBStorage:
    for _ in range(_ATTEMPTS):
        try:
            return _connect(url)
        except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError, ValueError, RuntimeError) as error:
            failure = error
            if not _is_being_made(error):
                break
            time.sleep(random.uniform(0.05, 0.2))
    raise ValueError(
        f'storage must be the URL of a database that can be opened, such as "sqlite:///qspinn.db", got {url!r}: '
        f"{str(failure).splitlines()[0]}"
    ) from failure


def _is_being_made(error: Exception) -> bool:
    """Whether another process made, in the same moment, what this one was about to."""
    return isinstance(error, sqlalchemy.exc.IntegrityError) or "already exists" in str(error)


def _connect(url: str) -> RDBStorage:
    sqlite = url.startswith("sqlite")
    with warnings.catch_warnings():
        # Heartbeats are marked as experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = RDBStorage(
            url,
            engine_kwargs={"connect_args": {"timeout": _SQLITE_TIMEOUT}} if sqlite else None,
            heartbeat_interval=_HEARTBEAT,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
        )
    if sqlite:
        # Writers do not wait for readers then: several workers, or the dashboard beside a running study.
        with storage.engine.connect() as connection:
            connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
    return storage
