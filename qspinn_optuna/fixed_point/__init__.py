"""Fixed-point arithmetic: formats, roundings, values on a grid and their integer codes."""

from __future__ import annotations

from qspinn_optuna.fixed_point.codes import decode, encode
from qspinn_optuna.fixed_point.qformat import QFormat
from qspinn_optuna.fixed_point.quantize import quantize
from qspinn_optuna.fixed_point.rounding import Rounding

__all__ = ["QFormat", "Rounding", "decode", "encode", "quantize"]
