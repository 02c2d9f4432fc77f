"""What needs no torch is importable without it: a device's arithmetic is integers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import qspinn_optuna
from qspinn_optuna import fixed_point

PACKAGE = Path(qspinn_optuna.__file__).parent


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh process has after an import, without what the whole package imports."""
    code = (
        "import sys, types\n"
        "package = types.ModuleType('qspinn_optuna')\n"
        f"package.__path__ = [{str(PACKAGE)!r}]\n"
        "sys.modules['qspinn_optuna'] = package\n"
        f"{statement}\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["from qspinn_optuna.fixed_point import QFormat, Rounding, ParameterQuantization", "import qspinn_optuna.config"],
)
def test_formats_and_roundings_need_no_torch(statement: str) -> None:
    assert modules_after(statement).isdisjoint({"torch", "optuna", "numba"})


def test_what_needs_torch_imports_it_when_it_is_asked_for() -> None:
    assert "torch" in modules_after("from qspinn_optuna.fixed_point import quantize; assert callable(quantize)")


def test_all_names_complete_in_an_interactive_shell() -> None:
    assert set(fixed_point.__all__) <= set(dir(fixed_point))
    assert all(callable(getattr(fixed_point, name)) for name in fixed_point.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = fixed_point.no_such_name
