"""An integer model as files for a device; needs neither torch nor Optuna."""

from __future__ import annotations

from qspinn_optuna.export.accuracy import Accuracy
from qspinn_optuna.export.emulation import Core, Emulation
from qspinn_optuna.export.export import Export, export_c
from qspinn_optuna.export.sizes import Sizes
from qspinn_optuna.export.tools import ToolError
from qspinn_optuna.export.verification import DifferenceError, Verification

__all__ = [
    "Accuracy",
    "Core",
    "DifferenceError",
    "Emulation",
    "Export",
    "Sizes",
    "ToolError",
    "Verification",
    "export_c",
]
