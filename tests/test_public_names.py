"""What `import qspinn_optuna` offers, and what it costs."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import json
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import qspinn_optuna


def test_every_public_name_is_there() -> None:
    assert {name for name in qspinn_optuna.__all__ if not hasattr(qspinn_optuna, name)} == set()
    assert {"SupervisedWorkload", "STDPWorkload", "fit", "fold_batch_norm", "open_study"} <= set(qspinn_optuna.__all__)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(inspect.getsource(qspinn_optuna))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {
        (node.module, alias.asname)
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert imported == {(module, name) for name, module in qspinn_optuna._MODULES.items()}


def test_the_names_complete_and_nothing_heavy_is_imported_for_it() -> None:
    program = "import json, sys, qspinn_optuna; print(json.dumps([dir(qspinn_optuna), [*sys.modules]]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    names, modules = json.loads(done.stdout)
    assert set(qspinn_optuna.__all__) <= set(names)
    assert not {"torch", "optuna", "numpy", "spikingjelly"} & set(modules)


def test_a_misspelt_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'QFormt'") as error:
        qspinn_optuna.QFormt  # noqa: B018
    # With these Python says which name is similar.
    assert (error.value.name, error.value.obj) == ("QFormt", qspinn_optuna)
    assert "QFormat" in dir(error.value.obj)
    assert traceback.format_exception(error.value)


def test_the_version_is_that_of_the_package() -> None:
    assert qspinn_optuna.__version__ == importlib.metadata.version("qspinn_optuna")
    assert f"## [{qspinn_optuna.__version__}]" in (Path(__file__).parents[1] / "CHANGELOG.md").read_text()
