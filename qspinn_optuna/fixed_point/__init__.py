"""Fixed-point arithmetic: formats, roundings, values on a grid and their integer codes.

What works on tensors is imported when it is first asked for: integers alone need no torch.

.. include:: README.md
   :start-line: 2
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qspinn_optuna.fixed_point.grid_kind import GridKind
from qspinn_optuna.fixed_point.qformat import QFormat
from qspinn_optuna.fixed_point.quantization import ParameterQuantization
from qspinn_optuna.fixed_point.rounding import Rounding

if TYPE_CHECKING:
    from qspinn_optuna.fixed_point.codes import decode, encode
    from qspinn_optuna.fixed_point.values import quantize

__all__ = ["GridKind", "ParameterQuantization", "QFormat", "Rounding", "decode", "encode", "quantize"]

_ON_TENSORS = {"decode": "codes", "encode": "codes", "quantize": "values"}
"""Modules of the functions that need torch."""


def __getattr__(name: str) -> Any:
    if name not in _ON_TENSORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ON_TENSORS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
