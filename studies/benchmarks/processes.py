"""Work on several processes, of one thread each."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

import optuna
import torch
from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(function: Callable[[Item], Result], items: Sequence[Item], processes: int) -> Iterator[Result]:
    """Results as they become ready, each of them of one thread; with one process, of this one."""
    if processes == 1 or len(items) <= 1:
        _use_one_thread()
        yield from tqdm(map(function, items), total=len(items))
        return
    # Libraries read it when they are loaded. Forked processes would inherit locks of threads that they do not have.
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_use_one_thread) as pool:
        futures = [pool.submit(function, item) for item in items]
        for future in tqdm(as_completed(futures), total=len(futures)):
            yield future.result()


def _use_one_thread() -> None:
    """Samplers are timed, and runs at once would share the cores' threads."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
