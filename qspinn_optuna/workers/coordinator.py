"""The process that coordinates workers: it hands out trials, shows the progress, and replaces workers that die.

Workers are made by a fork server on Linux, and spawned elsewhere; they get the study and the objective pickled, with
everything in them that is trained. They are not forked from this process: a forked child hangs as soon as it uses the
OpenMP threads that torch has started here, a GPU cannot be used in it, and macOS and Windows cannot do it at all.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

import optuna

from qspinn_optuna.study import retry_interrupted
from qspinn_optuna.threads import available_cores
from qspinn_optuna.workers.progress import Progress
from qspinn_optuna.workers.sharing import MakeSampler, Objective, Search, check_shared, search_of
from qspinn_optuna.workers.worker import Environment, Failed, Finished, RemoteTraceback, Report, work

_GRACE = 15.0
"""Seconds in which a worker that is told to end queues its trial again; it is killed afterwards."""

_ATTEMPTS = 3
"""Deaths in a row, for each worker, that one configuration explains."""

_PRELOADED = {"optuna", "qspinn_optuna"}
"""Packages whose modules a fork server imports, with what they import; none of them starts threads then."""

_LOGGER = optuna.logging.get_logger("optuna.workers.qspinn")


def run_workers(
    study: optuna.Study,
    objective: Objective,
    n_trials: int,
    *,
    workers: int,
    sampler: MakeSampler | None = None,
    seed: int = 0,
    show_progress: bool = False,
    environment: Environment = nullcontext,
) -> None:
    """Run trials of a study in several processes of this machine.

    The cores are divided among the workers: each has its part of the threads of BLAS, OpenMP, torch and numba. Ctrl-C
    ends all of them, and their trials are queued again; an error of an objective ends all of them, too, and is raised
    here. A worker that dies is replaced; the storage queues its trial again.

    Worker processes import the script that calls this, which therefore calls it under
    ``if __name__ == "__main__":``.

    Example:
        >>> sampler = functools.partial(make_my_sampler, space)  # a function of a seed  # doctest: +SKIP
        >>> run_workers(study, QuantizationObjective(workload, space), 60, workers=4, sampler=sampler)  # doctest: +SKIP

    Args:
        study: The study. Its storage is none in memory.
        objective: What each trial calls, such as a :class:`~qspinn_optuna.QuantizationObjective`. Every worker gets a
            copy: what is trained already is not trained again.
        n_trials: Trials to run, by all workers together; queued trials count.
        workers: Processes. More than there are cores are possible, but hardly faster.
        sampler: Makes the sampler of a worker from a seed of its own. If not given, workers have copies of the study's
            sampler that draw differently each time.
        seed: What the seeds of the samplers follow from, with the workers' numbers and the trials that there are.
        show_progress: Whether to show a bar, or without a terminal a line every few trials.
        environment: Context in which a worker does everything, such as one that makes modules importable.

    Raises:
        ValueError: If ``workers`` is under 1, ``n_trials`` is negative, or the storage is in memory.
        UnpicklableError: If ``objective`` cannot be pickled.
        RuntimeError: If workers die one after another.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}.")
    if n_trials < 0:
        raise ValueError(f"n_trials must not be negative, got {n_trials}.")
    check_shared(study._storage)
    cores = available_cores()
    if workers > cores:
        _LOGGER.warning(f"{workers} workers share {cores} cores: more workers than cores are hardly faster.")
    search = search_of(study, objective, sampler, seed)
    # A worker without a trial would be started for nothing.
    crew = _Crew(search, environment, min(workers, n_trials), max(1, cores // workers))
    with Progress(n_trials) if show_progress else nullcontext() as progress:
        crew.run(n_trials, progress)


@dataclass(eq=False)
class _Worker:
    """A process, the way to it, and whether it has a trial."""

    number: int
    process: BaseProcess
    channel: Connection
    is_busy: bool = False

    def end(self) -> None:
        """Hang up: it ends by itself."""
        self.channel.close()
        self.process.join()


class _Crew:
    """The workers of a search.

    Args:
        search: What they run.
        environment: What they run it in.
        size: How many there are at a time.
        threads: Threads of each.
    """

    def __init__(self, search: Search, environment: Environment, size: int, threads: int) -> None:
        self._study = search.study
        self._data = search.pickled()
        self._environment = environment
        self._size = size
        self._threads = threads
        self._context = _context()
        self._workers: list[_Worker] = []
        self._started = 0
        self._left = 0
        self._deaths = 0

    def run(self, n_trials: int, progress: Progress | None) -> None:
        """Run so many trials, whichever worker runs how many of them."""
        self._left = n_trials
        try:
            while self._left or self._workers:
                while len(self._workers) < min(self._size, self._left + self._busy):
                    self._start()
                for channel in wait([worker.channel for worker in self._workers]):
                    self._hear(next(one for one in self._workers if one.channel is channel), progress)
        except BaseException:
            self._stop()
            raise

    @property
    def _busy(self) -> int:
        return sum(worker.is_busy for worker in self._workers)

    def _start(self) -> None:
        here, there = self._context.Pipe()
        arguments = (there, self._started, self._data, self._environment, self._threads)
        # mypy does not know that every context has processes.
        process = self._context.Process(target=work, args=arguments, daemon=True)  # type: ignore[attr-defined]
        self._workers.append(_Worker(self._started, process, here))
        self._started += 1
        with _interrupts_blocked():
            process.start()
        there.close()

    def _hear(self, worker: _Worker, progress: Progress | None) -> None:
        """Read what a worker reports, and give it something to do."""
        try:
            report: Report = worker.channel.recv()
        except (EOFError, OSError):
            self._replace(worker)
            return
        if isinstance(report, Failed):
            error: Exception = pickle.loads(report.error)
            raise error from RemoteTraceback(report.trace)
        if isinstance(report, Finished):
            worker.is_busy = False
            self._deaths = 0
            if progress is not None:
                progress.add(report.state)
        self._ask(worker)

    def _ask(self, worker: _Worker) -> None:
        """Ask a worker for a trial, or let it go if none is left."""
        if self._left == 0:
            self._workers.remove(worker)
            worker.end()
            return
        try:
            worker.channel.send(True)
        except OSError:
            self._replace(worker)
            return
        worker.is_busy = True
        self._left -= 1

    def _replace(self, worker: _Worker) -> None:
        """Tell that a worker has died. Its trial is left to run, and so another worker is started."""
        self._workers.remove(worker)
        worker.end()
        self._left += worker.is_busy
        self._deaths += 1
        reason = _reason(worker.process.exitcode)
        if self._deaths > _ATTEMPTS * (self._size + 1):
            raise RuntimeError(
                f"{self._deaths} workers died one after another, the last one {reason}: "
                'give fewer workers if memory is short; a script calls run_workers under if __name__ == "__main__".'
            )
        # As an error, since commands show errors only.
        _LOGGER.error(f"Worker {worker.number} died, {reason}: another one takes its place.")
        retry_interrupted(self._study)

    def _stop(self) -> None:
        """End all workers; they queue their trials again."""
        try:
            for worker in self._workers:
                if worker.process.pid is not None:
                    worker.process.terminate()
            deadline = time.monotonic() + _GRACE
            for worker in self._workers:
                if worker.process.pid is not None:
                    worker.process.join(max(0.0, deadline - time.monotonic()))
        finally:
            # Also if another Ctrl-C says that it takes too long.
            for worker in self._workers:
                worker.channel.close()
                if worker.process.pid is not None and worker.process.is_alive():
                    worker.process.kill()
                    worker.process.join()


def _context() -> BaseContext:
    """How processes are made: on Linux by a server that has imported everything, so that they start at once."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([name for name in sys.modules if name.partition(".")[0] in _PRELOADED])
    return context


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Hold Ctrl-C back; processes that are started in it do not get it at all, not even while they import."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _reason(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        return f"killed by {name}{' (perhaps because memory was short)' if name == 'SIGKILL' else ''}"
    return f"with exit code {exit_code}"
