"""Databases of studies: opened with settings for several workers, without harm to what is there, and losing nothing."""

from __future__ import annotations

from qspinn_optuna.study.storage.durable import DurableStorage
from qspinn_optuna.study.storage.opening import durable, open_storage, retry_interrupted, write_now
from qspinn_optuna.study.storage.outages import StorageError, StudyDeletedError
from qspinn_optuna.study.storage.retries import enqueue_interrupted, queued_if_interrupted
from qspinn_optuna.study.storage.secrets import without_password

__all__ = [
    "DurableStorage",
    "StorageError",
    "StudyDeletedError",
    "durable",
    "enqueue_interrupted",
    "open_storage",
    "queued_if_interrupted",
    "retry_interrupted",
    "without_password",
    "write_now",
]
