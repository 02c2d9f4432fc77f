"""An integer model as files for a device or another program; needs neither torch nor Optuna.

.. include:: README.md
   :start-line: 2
"""

from __future__ import annotations

from qspinn_optuna.export.accuracy import Accuracy
from qspinn_optuna.export.emulation import Core, Emulation
from qspinn_optuna.export.export import Export, export_c
from qspinn_optuna.export.folder import check_folder, is_export
from qspinn_optuna.export.nir import NIRReader, export_nir, nir_difference, read_nir
from qspinn_optuna.export.sizes import Sizes
from qspinn_optuna.export.templates import check_prefix
from qspinn_optuna.export.tools import ToolError, host_compiler
from qspinn_optuna.export.verification import DifferenceError, Verification

__all__ = [
    "Accuracy",
    "Core",
    "DifferenceError",
    "Emulation",
    "Export",
    "NIRReader",
    "Sizes",
    "ToolError",
    "Verification",
    "check_folder",
    "check_prefix",
    "export_c",
    "export_nir",
    "host_compiler",
    "is_export",
    "nir_difference",
    "read_nir",
]
