"""Every public name has an example in its docstring, which runs and prints what it says."""

from __future__ import annotations

import doctest
import inspect
import io
import re
from pathlib import Path

import optuna
import pytest

import qspinn_optuna
from qspinn_optuna.export import ToolError, host_compiler
from tests.documentation.pages import PAGES
from tests.documentation.reference import PACKAGES, Public, documented, names_for, public_names

NAMES = list(documented())
NEEDING_A_COMPILER = {"export_c", "host_compiler"}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_the_reference_has_what_users_import() -> None:
    assert {public.name for public in NAMES} >= set(qspinn_optuna.__all__) - {"TARGETS"}
    named = {
        name
        for page in PAGES
        for block in page.blocks("python")
        for name in re.findall(r"^from (qspinn_optuna[\w.]*) import", block.text, re.MULTILINE)
    }
    assert named <= set(PACKAGES)


@pytest.mark.parametrize("public", NAMES, ids=lambda public: f"{public.package}.{public.name}")
def test_an_example_prints_what_it_says(public: Public, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docstring = inspect.getdoc(public.value) or ""
    assert "Example:\n    >>> " in docstring
    if public.name in NEEDING_A_COMPILER and not has_compiler():
        pytest.skip("there is no compiler of C")
    monkeypatch.chdir(tmp_path)
    names = names_for(public.package, tmp_path)
    test = doctest.DocTestParser().get_doctest(docstring, names, public.name, None, None)
    told = io.StringIO()
    failed, _ = doctest.DocTestRunner().run(test, out=told.write)
    assert failed == 0, told.getvalue()


def has_compiler() -> bool:
    try:
        host_compiler()
    except ToolError:
        return False
    return True


def test_few_examples_are_only_shown() -> None:
    """What needs a server, a download or a board: of everything else, every line runs."""
    skipped = {public.name for public in NAMES if "+SKIP" in (inspect.getdoc(public.value) or "")}
    assert len(skipped) <= 15


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_there(package: str) -> None:
    assert public_names(package)
