"""What workers have in common: a study, and what they evaluate; each has a sampler with a seed of its own."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cloudpickle
import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState

Objective = Callable[[optuna.Trial], float | Sequence[float]]

MakeSampler = Callable[[int], BaseSampler]
"""Makes a sampler with a seed."""


class UnpicklableError(TypeError):
    """What workers need cannot be sent to them.

    Example:
        >>> issubclass(UnpicklableError, Exception)
        True
    """


@dataclass(frozen=True)
class Search:
    """What every worker does.

    Args:
        study: The study, whose storage all of them reach.
        objective: What is evaluated.
        make_sampler: Makes a worker's sampler; if None, it is a copy of the study's with other draws.
        seed: Seeds of the samplers follow from it.
        verbosity: Level of Optuna's log.
    """

    study: optuna.Study
    objective: Objective
    make_sampler: MakeSampler | None
    seed: Sequence[int]
    verbosity: int

    def pickled(self) -> bytes:
        """For another process: also what is defined in a notebook or a function.

        Raises:
            UnpicklableError: If that is impossible.
        """
        try:
            data: bytes = cloudpickle.dumps(self)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise UnpicklableError(
                f"objective must be one that can be pickled, since workers are processes of their own: {reason}"
            ) from error
        return data

    def begin(self, worker: int) -> None:
        """Prepare the process of a worker."""
        optuna.logging.set_verbosity(self.verbosity)
        if self.make_sampler is None:
            self.study.sampler.reseed_rng()
        else:
            self.study.sampler = self.make_sampler(seed_of_worker(self.seed, worker))

    def run_trial(self) -> TrialState:
        """Run one trial; how it ended."""
        states: list[TrialState] = []
        self.study.optimize(self.objective, n_trials=1, callbacks=[lambda _, trial: states.append(trial.state)])
        return states[0] if states else TrialState.FAIL


def search_of(study: optuna.Study, objective: Objective, make_sampler: MakeSampler | None, seed: int) -> Search:
    """The search that workers go on with.

    Args:
        study: As of :class:`Search`.
        objective: As of :class:`Search`.
        make_sampler: As of :class:`Search`.
        seed: With the number of trials that there are, it gives the seeds of the samplers: what a study drew at its
            beginning is not drawn again when it goes on.
    """
    seeds = (seed, len(study.get_trials(deepcopy=False)))
    return Search(study, objective, make_sampler, seeds, optuna.logging.get_verbosity())


def unpickled(data: bytes) -> Search:
    """What :meth:`Search.pickled` wrote."""
    search: Search = pickle.loads(data)
    return search


def seed_of_worker(seed: Sequence[int], worker: int) -> int:
    """A seed from 0 to 2**32 - 1 that no other worker has."""
    return int(np.random.SeedSequence([*seed, worker]).generate_state(1)[0])


def check_shared(storage: BaseStorage) -> None:
    """Refuse a storage that other processes do not reach.

    Example:
        >>> backend = optuna.storages.journal.JournalFileBackend(str(folder / "studies.log"))
        >>> check_shared(optuna.storages.JournalStorage(backend))

    Raises:
        ValueError: If it is in memory.
    """
    backend = storage
    while hasattr(backend, "_backend") and isinstance(backend._backend, BaseStorage):
        backend = backend._backend
    url = str(getattr(backend, "url", ""))
    in_memory = url.startswith("sqlite") and (url.endswith(("://", ":///")) or ":memory:" in url)
    if in_memory or isinstance(backend, InMemoryStorage):
        raise ValueError('storage must be one that workers share, such as "sqlite:///qspinn.db", got one in memory.')
