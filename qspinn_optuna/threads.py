"""How many threads a process takes: all cores, unless it shares them with other workers."""

from __future__ import annotations

import os
import sys

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What libraries read when they are loaded."""


class _Limit:
    threads: int | None = None


def available_cores() -> int:
    """Cores that this process may run on: a container or a batch system may allow fewer than there are."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def allowed_threads() -> int:
    """Threads that this process may use at a time."""
    return available_cores() if _Limit.threads is None else _Limit.threads


def announce_limit(threads: int) -> None:
    """Limit threads of what will be imported."""
    _Limit.threads = threads
    os.environ.update(dict.fromkeys(_VARIABLES, str(threads)))


def limit_threads(threads: int) -> None:
    """Limit threads of what is imported: BLAS, OpenMP, torch and numba, and of :func:`allowed_threads`.

    Args:
        threads: At least 1.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    announce_limit(threads)
    threadpool_limits(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "numba" in sys.modules:
        numba = sys.modules["numba"]
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
