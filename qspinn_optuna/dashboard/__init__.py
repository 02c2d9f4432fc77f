"""Publishing studies to optuna-dashboard."""

from __future__ import annotations

from qspinn_optuna.dashboard.publish import publish

__all__ = ["publish"]
