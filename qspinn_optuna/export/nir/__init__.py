"""An integer model as a file of NIR, the neuromorphic intermediate representation, and back."""

from __future__ import annotations

from qspinn_optuna.export.nir.difference import nir_difference
from qspinn_optuna.export.nir.files import export_nir, read_nir
from qspinn_optuna.export.nir.simulation import NIRReader

__all__ = ["NIRReader", "export_nir", "nir_difference", "read_nir"]
