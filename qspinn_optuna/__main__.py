"""The command ``qspinn``, as ``python -m qspinn_optuna``."""

from __future__ import annotations

import sys

from qspinn_optuna.cli import main

if __name__ == "__main__":
    sys.exit(main())
