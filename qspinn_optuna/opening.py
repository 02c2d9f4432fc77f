"""Opening a study that stores its identity, its baseline and its accuracy floor."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage

from qspinn_optuna.sampler import MemoryAwareSampler
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study import (
    DIRECTIONS,
    DurableStorage,
    check_identity,
    description_of,
    durable,
    ensure_baseline,
    identify,
    identity_of,
    is_new,
    open_storage,
    other_version,
    set_accuracy_floor,
)
from qspinn_optuna.workloads import Workload

# Below Optuna's own loggers, so that it is shown as their lines are.
_LOGGER = optuna.logging.get_logger("optuna.study.qspinn")


def open_study(
    name: str,
    storage: str | BaseStorage | None,
    space: QuantizationSpace,
    sampler: BaseSampler | None = None,
    workload: Workload | None = None,
    accuracy_drop: float | None = None,
) -> optuna.Study:
    """Open a study of ``space``, or create it if there is none of that name.

    Several workers may open it at the same time. Unless the storage is in memory, it becomes a
    :class:`~qspinn_optuna.study.DurableStorage`: a trial whose process ends is queued again when any worker begins
    another trial, errors of the storage are waited out, and results that could not be told to it are read from files in
    the current folder.

    Example:
        >>> study = open_study("mine", "sqlite:///qspinn.db", space, workload=workload)  # doctest: +SKIP
        >>> study = open_study("in memory", None, space, workload=workload, accuracy_drop=0.01)
        >>> study.study_name
        'in memory'

    Args:
        name: Name of the study.
        storage: URL of a database such as "sqlite:///qspinn.db", of a journal file, "journal:///qspinn.log", or of a
            proxy, "grpc://host:port"; or a storage of Optuna; in memory if None.
        space: The search space.
        sampler: The sampler; ``MemoryAwareSampler(space)`` without a seed if not given. Reproducible studies need a
            sampler with a seed.
        workload: The workload of the study. A study goes on only with a workload of the same description.
        accuracy_drop: Accuracy that a feasible model may lose against the baseline, a fraction: 0.01 is one point. The
            study stores the resulting accuracy floor. This trains the float network, unless the study has a baseline
            already. If not given, the study keeps its floor, if it has one.

    Raises:
        TypeError: If ``name`` is not a string, ``space`` is not a space, ``storage`` is neither a URL nor a storage,
            ``sampler`` is not a sampler, ``workload`` has no description, or ``accuracy_drop`` is given without
            ``workload``.
        ValueError: If ``accuracy_drop`` is not a fraction, the storage cannot be opened, the sampler is of another
            space, or the study has other directions, another space or another workload; such a study is not changed.
    """
    _check_arguments(name, storage, space, workload, accuracy_drop)
    identity = identity_of(space, {} if workload is None else workload.describe())
    sampler = _default_sampler(space) if sampler is None else sampler
    _check_sampler(sampler, identity["space"])
    opened = _opened(storage)
    study = optuna.create_study(
        study_name=name, storage=opened, sampler=sampler, directions=DIRECTIONS, load_if_exists=True
    )
    if is_new(study):
        identify(study, identity)
    else:
        check_identity(study, identity)
        _tell_of_other_version(study)
    if isinstance(opened, DurableStorage):
        opened.take_in_unsaved(study._study_id)
    if workload is not None and accuracy_drop is not None:
        limit_accuracy_drop(study, workload, accuracy_drop)
    return study


def limit_accuracy_drop(study: optuna.Study, workload: Workload, accuracy_drop: float) -> None:
    """Set the accuracy floor of a study to ``accuracy_drop`` below the baseline, and to 0 at least.

    Example:
        >>> study = open_study("floor", None, space, workload=workload)
        >>> limit_accuracy_drop(study, workload, 0.02)

    Args:
        study: A study of ``workload``, which stores the floor.
        workload: The workload. Its float network is trained, unless the study has a baseline already.
        accuracy_drop: Accuracy that a feasible model may lose, a fraction: 0.01 is one point.

    Raises:
        ValueError: If ``accuracy_drop`` is not a fraction.
    """
    _check_drop(accuracy_drop)
    set_accuracy_floor(study, max(0.0, ensure_baseline(study, workload).accuracy - accuracy_drop))


def _tell_of_other_version(study: optuna.Study) -> None:
    line = other_version(study)
    if line is not None:
        _LOGGER.warning(line)


def _check_arguments(
    name: str,
    storage: str | BaseStorage | None,
    space: QuantizationSpace,
    workload: Workload | None,
    accuracy_drop: float | None,
) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {name!r}.")
    if not isinstance(space, QuantizationSpace):
        raise TypeError(f"space must be a QuantizationSpace, got {type(space).__name__}.")
    if storage is not None and not isinstance(storage, str | BaseStorage):
        raise TypeError(f'storage must be a URL such as "sqlite:///qspinn.db" or a storage of Optuna, got {storage!r}.')
    if workload is not None and not callable(getattr(workload, "describe", None)):
        raise TypeError(f"workload must be a Workload, with a method describe, got {type(workload).__name__}.")
    if accuracy_drop is None:
        return
    if workload is None:
        raise TypeError(f"accuracy_drop needs a workload, which has the baseline, got {accuracy_drop!r} alone.")
    _check_drop(accuracy_drop)


def _check_drop(accuracy_drop: float) -> None:
    if not (isinstance(accuracy_drop, Real) and not isinstance(accuracy_drop, bool) and 0 <= accuracy_drop <= 1):
        raise ValueError(
            f"accuracy_drop must be a fraction between 0 and 1, such as 0.01 for one point, got {accuracy_drop!r}."
        )


def _opened(storage: str | BaseStorage | None) -> BaseStorage | None:
    if storage is None:
        return None
    return open_storage(storage) if isinstance(storage, str) else durable(storage)


def _default_sampler(space: QuantizationSpace) -> BaseSampler:
    # A space of one configuration leaves nothing to model.
    return MemoryAwareSampler(space) if space.cardinality > 1 else optuna.samplers.RandomSampler()


def _check_sampler(sampler: BaseSampler, description: Mapping[str, Any]) -> None:
    if not isinstance(sampler, BaseSampler):
        raise TypeError(f"sampler must be a sampler of Optuna, such as MemoryAwareSampler(space), got {sampler!r}.")
    if isinstance(sampler, MemoryAwareSampler) and description_of(sampler.space) != description:
        raise ValueError("sampler must be of the same space as the study, got a MemoryAwareSampler of another space.")
