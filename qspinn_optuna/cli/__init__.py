"""The command ``qspinn``, and what study scripts share with it: arguments, the search, the report."""

from __future__ import annotations

from qspinn_optuna.cli.entry import main, main_of_file

__all__ = ["main", "main_of_file"]
