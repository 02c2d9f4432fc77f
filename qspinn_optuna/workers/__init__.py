"""Searching one study with several processes, of this machine or of a Dask cluster.

.. include:: README.md
   :start-line: 2
"""

from __future__ import annotations

from qspinn_optuna.workers.cluster import check_scheduler, run_on_dask
from qspinn_optuna.workers.coordinator import run_workers
from qspinn_optuna.workers.progress import Progress
from qspinn_optuna.workers.sharing import UnpicklableError, check_shared

__all__ = ["Progress", "UnpicklableError", "check_scheduler", "check_shared", "run_on_dask", "run_workers"]
