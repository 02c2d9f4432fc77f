"""Errors of a storage: which ones pass, how they are waited out, and how they are told in a line."""

from __future__ import annotations

import errno
import random
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy import exc

_LOGGER = optuna.logging.get_logger("optuna.storages.qspinn")

_T = TypeVar("_T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
"""Seconds between two attempts."""

_MOMENT = 1.0
"""Seconds of an outage of which nothing is told."""

_LASTING = re.compile(
    r"malformed|not a database|read-?only|no such table|does not exist|authentication failed|permission denied"
    r"|access denied",
    re.IGNORECASE,
)
"""Errors of databases that do not pass by themselves."""

_PASSING_CODES = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED"}
"""Status codes of gRPC."""

_OF_A_SERVER = re.compile(r"during the commit|OperationalError|InterfaceError|No space left|Errno")
"""In an error of a gRPC server, which has no code of its own for them: errors of its storage."""

_LASTING_ERRNOS = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR}


class StorageError(RuntimeError):
    """A storage that cannot be used, in a line."""


class StudyDeletedError(StorageError, KeyError):
    """A study that is not there any more."""

    def __str__(self) -> str:
        # A KeyError shows its argument as code.
        return str(self.args[0])


class Patience:
    """Waits out errors of a storage that pass.

    Args:
        seconds: How long an outage may last.
        recover: What is done before each further attempt.
        secrets: Texts that no message shows.
    """

    def __init__(self, seconds: float, recover: Callable[[], object], secrets: Sequence[str] = ()) -> None:
        self.seconds = seconds
        self._recover = recover
        self._secrets = secrets
        self._lock = threading.Lock()
        self._since: float | None = None
        self._is_over = False
        self._is_told = False

    def wait_out(self, call: Callable[[], _T]) -> _T:
        """The result of a call, which is repeated while the storage cannot be reached.

        Raises:
            StorageError: If the storage cannot be used: at once if that will not change, else when patience is over,
                after which an outage is not waited out again.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                result = call()
            except Exception as error:
                if not is_of_storage(error):
                    raise
                # NOTE: "from None", here and below: what an engine tells fills pages, and may show a password.
                if not is_passing(error):
                    raise StorageError(f"storage: {self.line_of(error)}") from None
                if not self._goes_on(error):
                    given_up = f"; given up after {_duration(self.seconds)}" if self.seconds > 0 else ""
                    raise StorageError(f"storage: {self.line_of(error)}{given_up}") from None
            else:
                self._succeed()
                return result
            sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._recover()

    @contextmanager
    def over(self) -> Iterator[None]:
        """Wait for nothing meanwhile."""
        seconds, self.seconds = self.seconds, 0.0
        try:
            yield
        finally:
            self.seconds = seconds

    def line_of(self, error: BaseException) -> str:
        """The reason of an error in a line, without secrets."""
        line = reason_of(error)
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line

    def _goes_on(self, error: Exception) -> bool:
        """Whether to try again; tells of an outage once, unless it is over in a moment."""
        with self._lock:
            now = monotonic()
            self._since = now if self._since is None else self._since
            self._is_over = self._is_over or now - self._since >= self.seconds
            if not (self._is_told or self._is_over) and now - self._since >= _MOMENT:
                self._is_told = True
                _LOGGER.error(f"storage: {self.line_of(error)}; trying again for up to {_duration(self.seconds)}")
            return not self._is_over

    def _succeed(self) -> None:
        if self._since is None:
            return
        with self._lock:
            if self._is_told:
                _LOGGER.error("storage: back again")
            self._since, self._is_over, self._is_told = None, False, False


def is_of_storage(error: BaseException) -> bool:
    """Whether an error is of a database, a file or a connection, and not of how it was used."""
    return isinstance(error, StorageInternalError | exc.SQLAlchemyError | OSError) or _grpc_code(error) is not None


def is_passing(error: BaseException) -> bool:
    """Whether an error of a storage may pass by itself."""
    cause = _cause(error)
    if isinstance(cause, OSError):
        return cause.errno not in _LASTING_ERRNOS
    code = _grpc_code(cause)
    if code is not None:
        return code in _PASSING_CODES or (code == "UNKNOWN" and bool(_OF_A_SERVER.search(reason_of(cause))))
    if isinstance(cause, exc.DBAPIError):
        passes = isinstance(cause, exc.OperationalError | exc.InterfaceError) or cause.connection_invalidated
        return passes and not _LASTING.search(str(cause.orig))
    return isinstance(
        cause, StorageInternalError | exc.TimeoutError | exc.PendingRollbackError | exc.ResourceClosedError
    )


def _cause(error: BaseException) -> BaseException:
    """The error of the engine, from which Optuna and SQLAlchemy raise others of their own."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return _cause(error.__cause__)
    if isinstance(error, exc.PendingRollbackError) and isinstance(error.__context__, exc.SQLAlchemyError):
        return _cause(error.__context__)
    return error


def reason_of(error: BaseException) -> str:
    """What an engine says of an error, in a line."""
    cause = _cause(error)
    text = str(cause.orig) if isinstance(cause, exc.DBAPIError) and cause.orig is not None else str(cause)
    if _grpc_code(cause) is not None:
        text = f"{_grpc_code(cause)}: {cause.details()}"  # type: ignore[attr-defined]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0].partition(" (Background on")[0] if lines else type(cause).__name__


def _grpc_code(error: BaseException) -> str | None:
    # An error of gRPC exists only where it is imported, which few need.
    grpc = sys.modules.get("grpc")
    if grpc is None or not isinstance(error, grpc.RpcError) or not hasattr(error, "code"):
        return None
    return str(error.code().name)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} seconds"
