"""C for graphs of operations."""

from __future__ import annotations

from qspinn_optuna.export.graph.program import program_of

__all__ = ["program_of"]
