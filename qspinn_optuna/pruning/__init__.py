"""Early stops of evaluations that cannot enter the front."""

from __future__ import annotations

from qspinn_optuna.pruning.front import FrontPruner
from qspinn_optuna.pruning.sequential import cannot_reach, upper_bound

__all__ = ["FrontPruner", "cannot_reach", "upper_bound"]
