"""Search the fixed-point quantization of spiking neural networks with Optuna: memory against accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qspinn_optuna.config import InexactError, QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding, decode, encode, quantize
from qspinn_optuna.front import Candidate, ParetoFront
from qspinn_optuna.objective import QuantizationObjective
from qspinn_optuna.opening import open_study
from qspinn_optuna.parameters import Deployment, Family, Footprint, ParameterSpec
from qspinn_optuna.pruning import FrontPruner
from qspinn_optuna.sampler import MemoryAwareSampler
from qspinn_optuna.selection import Choice, SmallestSelector, TradeOffSelector
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.workloads import TrainingProgress, Workload

if TYPE_CHECKING:
    from qspinn_optuna.networks import (
        calibrate,
        find_parameters,
        fold_batch_norm,
        freeze_network,
        quantize_network,
    )

__all__ = [
    "Candidate",
    "Choice",
    "Deployment",
    "Family",
    "Footprint",
    "FrontPruner",
    "InexactError",
    "MemoryAwareSampler",
    "ParameterQuantization",
    "ParameterSpec",
    "ParetoFront",
    "QFormat",
    "QuantizationConfig",
    "QuantizationObjective",
    "QuantizationSpace",
    "Rounding",
    "Scheme",
    "SmallestSelector",
    "TradeOffSelector",
    "TrainingProgress",
    "Workload",
    "calibrate",
    "decode",
    "encode",
    "find_parameters",
    "fold_batch_norm",
    "freeze_network",
    "open_study",
    "quantize",
    "quantize_network",
]

_NETWORKS = ("calibrate", "find_parameters", "fold_batch_norm", "freeze_network", "quantize_network")
"""Imported when they are first asked for: SpikingJelly takes seconds, and not every script needs it."""


def __getattr__(name: str) -> Any:
    if name in _NETWORKS:
        from qspinn_optuna import networks  # noqa: PLC0415

        return getattr(networks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
