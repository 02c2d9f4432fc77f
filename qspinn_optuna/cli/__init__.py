"""The command ``qspinn``, and what study scripts share with it: arguments, the search, the report.

.. include:: README.md
   :start-line: 2
"""

from __future__ import annotations

from qspinn_optuna.cli.entry import main, main_of_file

__all__ = ["main", "main_of_file"]
