"""Search the fixed-point quantization of spiking neural networks with Optuna: memory against accuracy."""

from __future__ import annotations

from qspinn_optuna.config import ParameterQuantization, QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import QFormat, Rounding, decode, encode, quantize
from qspinn_optuna.parameters import Deployment, Family, Footprint, ParameterSpec
from qspinn_optuna.space import QuantizationSpace
from qspinn_optuna.workloads import Workload

__all__ = [
    "Deployment",
    "Family",
    "Footprint",
    "ParameterQuantization",
    "ParameterSpec",
    "QFormat",
    "QuantizationConfig",
    "QuantizationSpace",
    "Rounding",
    "Scheme",
    "Workload",
    "decode",
    "encode",
    "quantize",
]
