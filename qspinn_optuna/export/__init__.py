"""An integer model as files for a device or another program; needs neither torch nor Optuna."""

from __future__ import annotations

from qspinn_optuna.export.emulation import Core, Emulation
from qspinn_optuna.export.export import Export, export_c
from qspinn_optuna.export.nir import export_nir, read_nir
from qspinn_optuna.export.nir_difference import nir_difference
from qspinn_optuna.export.nir_simulation import NIRReader
from qspinn_optuna.export.sizes import Sizes
from qspinn_optuna.export.tools import ToolError
from qspinn_optuna.export.verification import DifferenceError, Verification

__all__ = [
    "Core",
    "DifferenceError",
    "Emulation",
    "Export",
    "NIRReader",
    "Sizes",
    "ToolError",
    "Verification",
    "export_c",
    "export_nir",
    "nir_difference",
    "read_nir",
]
