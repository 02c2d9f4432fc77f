"""Work in other processes, of one thread each."""

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
    """Results as they become ready, each of one thread; with one process, of this process."""
    if processes == 1 or len(items) <= 1:
        _use_one_thread()
        yield from tqdm(map(function, items), total=len(items))
        return
    with _pool(processes) as pool:
        futures = [pool.submit(function, item) for item in items]
        for future in tqdm(as_completed(futures), total=len(futures)):
            yield future.result()


def on_one_thread(function: Callable[[], Result]) -> Result:
    """The result of a function that is timed: in a process of its own, where every library has one thread."""
    with _pool(1) as pool:
        return pool.submit(function).result()


def _pool(processes: int) -> ProcessPoolExecutor:
    # Libraries read it when they are loaded. Forked processes would inherit locks of threads that they do not have.
    os.environ["OMP_NUM_THREADS"] = "1"
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_use_one_thread)


def _use_one_thread() -> None:
    """Samplers are timed, and runs at once would share the cores' threads."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
