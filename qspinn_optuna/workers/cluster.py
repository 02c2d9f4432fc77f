"""Workers of a Dask cluster: Dask hands out the trials, and each worker writes to the study's storage."""

from __future__ import annotations

import threading
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cloudpickle
import optuna
from optuna.trial import TrialState

from qspinn_optuna.display import silence
from qspinn_optuna.threads import limit_threads
from qspinn_optuna.workers.progress import Progress
from qspinn_optuna.workers.sharing import MakeSampler, Objective, Search, check_shared, search_of, unpickled

if TYPE_CHECKING:
    from distributed import Client

_TIMEOUT = 5
"""Seconds to wait for a scheduler, and for its first worker."""

_SEARCHES: dict[str, Search] = {}
"""In the process of a Dask worker: the search that it is part of, by its name."""

_BEGINNING = threading.Lock()


def check_scheduler(address: str) -> None:
    """Refuse a Dask scheduler that is not there, or whose workers cannot run trials.

    Example:
        >>> check_scheduler("tcp://host:8786")  # doctest: +SKIP

    Args:
        address: Such as "tcp://host:8786", or "host:8786".

    Raises:
        ModuleNotFoundError: If Dask is not installed.
        ValueError: If the scheduler does not answer, has no workers, or they have another version of this package.
    """
    with _connected(address):
        pass


def run_on_dask(
    study: optuna.Study,
    objective: Objective,
    n_trials: int,
    *,
    scheduler: str,
    sampler: MakeSampler | None = None,
    seed: int = 0,
    show_progress: bool = False,
    modules: Sequence[ModuleType] = (),
) -> None:
    """Run trials of a study on the workers of a Dask cluster.

    Each Dask worker opens the study's storage itself, so it must reach it: PostgreSQL or MySQL from several machines,
    an SQLite file by its absolute path from workers of one machine, or Optuna's DaskStorage. Dask runs the trial of a
    worker that dies on another one. An error of an objective is raised here. Ctrl-C ends the search once the trials
    that are running have finished.

    Example:
        >>> run_on_dask(study, objective, 60, scheduler="tcp://host:8786")  # doctest: +SKIP

    Args:
        study: The study.
        objective: What each trial calls. Every worker gets a copy: what is trained already is not trained again.
        n_trials: Trials to run, queued ones included.
        scheduler: Address of the scheduler, such as "tcp://host:8786".
        sampler: As of :func:`~qspinn_optuna.run_workers`.
        seed: As of :func:`~qspinn_optuna.run_workers`; in place of a worker's number there is its address.
        show_progress: As of :func:`~qspinn_optuna.run_workers`.
        modules: Modules of ``objective`` that the workers cannot import: they are sent along.

    Raises:
        ModuleNotFoundError: If Dask is not installed.
        ValueError: If ``scheduler`` does not answer, has no workers, or they have another version of this package; or
            the storage is in memory.
        UnpicklableError: If ``objective`` cannot be pickled.
        RuntimeError: If workers die one after another.
    """
    check_shared(study._storage)
    with _sent_along(modules):
        data = search_of(study, objective, sampler, seed).pickled()
    name = uuid.uuid4().hex
    with _connected(scheduler) as client, Progress(n_trials) if show_progress else nullcontext() as progress:
        from distributed import KilledWorker, as_completed  # noqa: PLC0415

        sent = client.scatter(data, broadcast=True, hash=False)
        trials = [client.submit(_run_trial, name, sent, number, pure=False) for number in range(n_trials)]
        try:
            for finished in as_completed(trials):
                state = finished.result()
                if progress is not None:
                    progress.add(state)
        except KilledWorker as error:
            raise RuntimeError(f"Dask's workers died one after another: {' '.join(str(error).split())}") from error
        finally:
            client.cancel(trials)


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """A client of a scheduler, which has workers."""
    try:
        from distributed import Client  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"Dask is not installed: pip install distributed ({error})") from error
    try:
        client = Client(address, timeout=_TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"scheduler must be the address of a Dask scheduler, got {address!r}: {reason}") from error
    with client, client.as_current():
        _check_workers(client, address)
        yield client


def _check_workers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_TIMEOUT)
    except TimeoutError as error:
        raise ValueError(
            f"scheduler must have workers, {address!r} has none: start one by dask worker {address}"
        ) from error
    try:
        found = client.run(_installed_version)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"workers of {address!r} must have qspinn_optuna and its extra dask installed: {error}"
        ) from error
    others = {address: other for address, other in found.items() if other != _installed_version()}
    if others:
        raise ValueError(f"workers must have qspinn_optuna {_installed_version()} as this process has, got {others}")


def _installed_version() -> str:
    return version("qspinn_optuna")


@contextmanager
def _sent_along(modules: Sequence[ModuleType]) -> Iterator[None]:
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _run_trial(name: str, data: bytes, _number: int) -> TrialState:
    """Run a trial in a Dask worker."""
    with _BEGINNING:
        if name not in _SEARCHES:
            _SEARCHES.clear()
            _SEARCHES[name] = _begun(data)
        search = _SEARCHES[name]
    return search.run_trial()


def _begun(data: bytes) -> Search:
    from distributed import get_worker  # noqa: PLC0415

    worker: Any = get_worker()
    silence()
    search = unpickled(data)
    search.begin(zlib.crc32(worker.address.encode()))
    # Dask runs as many trials at a time as a worker has threads.
    limit_threads(1)
    return search
