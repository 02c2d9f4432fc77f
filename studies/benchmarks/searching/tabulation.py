"""Making a table: a workload that evaluates every configuration of a grid, on several processes."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from qspinn_optuna import InexactError, QuantizationSpace, Workload
from searching.evaluations import counts_of
from searching.tables import MISSING, REFUSED, EvaluationTable, params_of_row

_SAVE_EVERY = 50
"""Evaluations between two saves: as much is lost when the making is interrupted."""


def make_table(
    make_workload: Callable[[], Workload], widths: Mapping[str, Any], path: Path, processes: int
) -> EvaluationTable:
    """Evaluate every configuration; interrupted, the same call goes on.

    Args:
        make_workload: Of the network; called in every process, so it must be a function of a module.
        widths: Of the space, see :class:`~qspinn_optuna.QuantizationSpace`.
        path: File of the table.
        processes: How many evaluate at once.
    """
    workload = make_workload()
    space = QuantizationSpace(workload.parameters, widths, deployment=workload.deployment)
    unfinished = path.with_name(f"{path.name}.unfinished")
    if unfinished.exists():
        table = EvaluationTable.load(unfinished)
        if table.describe() != {"workload": "table", **_plain(workload.describe())} or table.parameters != (
            space.parameters
        ):
            raise ValueError(f"{unfinished} is of another workload: remove it.")
    else:
        first = space.config(params_of_row(space, 0))
        seen = np.array([seen for _, seen in counts_of(workload.evaluate(first, 0))], np.int32)
        nothing = np.full((space.cardinality, len(seen)), MISSING, np.int32)
        table = EvaluationTable(space, nothing, seen, workload.baseline, _plain(workload.describe()))
    # In random order, the progress bar estimates the time that is left.
    missing = np.random.default_rng(0).permutation(np.flatnonzero(table.correct[:, 0] == MISSING)).tolist()
    # Forked processes would inherit locks of threads that they do not have.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_start, initargs=(make_workload, space)) as pool:
        futures = {pool.submit(_evaluate_row, row): row for row in missing}
        for done, future in enumerate(tqdm(as_completed(futures), total=len(futures)), start=1):
            table.correct[futures[future]] = future.result()
            if done % _SAVE_EVERY == 0:
                table.save(unfinished)
    table.save(path)
    unfinished.unlink(missing_ok=True)
    return table


_process: dict[str, Any] = {}
"""What a process of :func:`make_table` evaluates."""


def _start(make_workload: Callable[[], Workload], space: QuantizationSpace) -> None:
    os.nice(10)
    _process.update(workload=make_workload(), space=space)


def _evaluate_row(row: int) -> list[int] | int:
    config = _process["space"].config(params_of_row(_process["space"], row))
    try:
        return [correct for correct, _ in counts_of(_process["workload"].evaluate(config, 0))]
    except InexactError:
        return REFUSED


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dict(values)))
    return plain
