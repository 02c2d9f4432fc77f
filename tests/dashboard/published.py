"""A small study, and a dashboard that serves it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import optuna
import optuna_dashboard

from qspinn_optuna import QuantizationObjective, open_study
from qspinn_optuna.significance import measure_significance, record_significance
from qspinn_optuna.study import set_accuracy_floor
from tests.fake_workload import FakeWorkload, fake_space

FLOOR = 0.9

NUMBER = 0
"""Number of the study in a storage in memory."""


def finished_study(storage: str | optuna.storages.BaseStorage) -> optuna.Study:
    space, workload = fake_space(), FakeWorkload()
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = open_study("published", storage, space, sampler)
    set_accuracy_floor(study, FLOOR)
    study.optimize(QuantizationObjective(workload, space), n_trials=12)
    record_significance(study, space, measure_significance(workload, space))
    return study


@contextmanager
def served(study: optuna.Study) -> Iterator[str]:
    """The address of a dashboard on the study's storage."""
    server = make_server("127.0.0.1", 0, optuna_dashboard.wsgi(study._storage), handler_class=_Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None: ...
