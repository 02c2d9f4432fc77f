"""The package as OptunaHub loads it; ``sequential`` is a module of qspinn_optuna, which the build copies."""

from .pruner import FrontPruner
from .sequential import cannot_reach, upper_bound

__all__ = ["FrontPruner", "cannot_reach", "upper_bound"]
