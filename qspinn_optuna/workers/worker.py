"""The process of a worker: it runs a trial whenever the coordinator says so, until that hangs up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

import cloudpickle
from optuna.trial import TrialState

from qspinn_optuna.display import silence
from qspinn_optuna.termination import sigterm_interrupts
from qspinn_optuna.threads import announce_limit, limit_threads
from qspinn_optuna.workers.sharing import unpickled

Environment = Callable[[], AbstractContextManager[object]]
"""What a worker does all its work in, such as with modules that are imported from a folder."""


@dataclass(frozen=True)
class Ready:
    """The worker waits for its first trial."""


@dataclass(frozen=True)
class Finished:
    """The worker waits for its next trial.

    Args:
        state: How the last one ended.
    """

    state: TrialState


@dataclass(frozen=True)
class Failed:
    """The worker ends.

    Args:
        error: The error, pickled.
        trace: Its traceback.
    """

    error: bytes
    trace: str


Report = Ready | Finished | Failed


class RemoteTraceback(Exception):  # noqa: N818
    """Where in a worker an error was raised: it is shown as the cause of the error."""

    def __init__(self, trace: str) -> None:
        super().__init__(trace)
        self.trace = trace

    def __str__(self) -> str:
        return f"\n{self.trace}"


def work(channel: Connection, number: int, search: bytes, environment: Environment, threads: int) -> None:
    """Run trials.

    Args:
        channel: To the coordinator: reports go there, and each message from there asks for a trial.
        number: Of the worker.
        search: What to run, pickled.
        environment: What it is done in.
        threads: Threads of this worker.
    """
    # Ctrl-C goes to all processes of a terminal: the coordinator alone minds it, and ends the workers by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with sigterm_interrupts():
        try:
            _end_with_the_coordinator()
            silence()
            announce_limit(threads)
            with environment():
                _run(channel, number, search, threads)
        except KeyboardInterrupt:
            pass
        except Exception as error:
            _tell(channel, Failed(_pickled(error), "".join(traceback.format_exception(error))))


def _run(channel: Connection, number: int, data: bytes, threads: int) -> None:
    search = unpickled(data)
    search.begin(number)
    limit_threads(threads)
    report: Report = Ready()
    while _tell(channel, report) and _is_asked(channel):
        report = Finished(search.run_trial())


def _tell(channel: Connection, report: Report) -> bool:
    """Whether the coordinator was there to be told."""
    try:
        channel.send(report)
    except OSError:
        return False
    return True


def _is_asked(channel: Connection) -> bool:
    try:
        channel.recv()
    except (EOFError, OSError):
        return False
    return True


def _pickled(error: Exception) -> bytes:
    """An error for the coordinator; one that cannot be pickled and made again is told by its name and text."""
    try:
        data: bytes = cloudpickle.dumps(error)
        cloudpickle.loads(data)
    except Exception:
        data = cloudpickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return data


def _end_with_the_coordinator() -> None:
    """Let the end of the coordinator, however it comes, end this worker as SIGTERM does."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_terminate_after, args=(parent.sentinel,), daemon=True).start()


def _terminate_after(sentinel: int) -> None:
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
