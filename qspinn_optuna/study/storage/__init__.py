"""Databases of studies: opened with settings for several workers, without harm to what is there."""

from __future__ import annotations

from qspinn_optuna.study.storage.opening import open_storage
from qspinn_optuna.study.storage.secrets import without_password

__all__ = ["open_storage", "without_password"]
