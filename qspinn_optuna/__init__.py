"""Search the fixed-point quantization of spiking neural networks with Optuna: memory against accuracy."""

from __future__ import annotations

from qspinn_optuna.config import ParameterQuantization, QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import QFormat, Rounding, decode, encode, quantize
from qspinn_optuna.front import Candidate, ParetoFront
from qspinn_optuna.objective import QuantizationObjective
from qspinn_optuna.parameters import Deployment, Family, Footprint, ParameterSpec
from qspinn_optuna.selection import Choice, TradeOffSelector
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.study import open_study
from qspinn_optuna.workloads import Workload

__all__ = [
    "Candidate",
    "Choice",
    "Deployment",
    "Family",
    "Footprint",
    "ParameterQuantization",
    "ParameterSpec",
    "ParetoFront",
    "QFormat",
    "QuantizationConfig",
    "QuantizationObjective",
    "QuantizationSpace",
    "Rounding",
    "Scheme",
    "TradeOffSelector",
    "Workload",
    "decode",
    "encode",
    "open_study",
    "quantize",
]
