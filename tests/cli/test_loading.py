"""FILE.py is loaded by its path, its errors are told with the line, and nothing of it is left."""

from __future__ import annotations

import argparse
import pickle
import sys
from importlib import import_module
from pathlib import Path

import pytest

from qspinn_optuna.cli.errors import CommandError, UsageError
from qspinn_optuna.cli.loading import loaded

WHOLE = """
class Mine:
    parameters = deployment = baseline = None
    def evaluate(self, config, seed): ...
    def describe(self): return {}

def workload(): return Mine()
"""


def write(folder: Path, text: str, name: str = "my_network.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_is_a_module_of_its_own_name_while_it_is_loaded(tmp_path: Path) -> None:
    before, finders = set(sys.modules), list(sys.meta_path)
    with loaded(write(tmp_path, WHOLE)) as file:
        workload = file.workload(argparse.Namespace())
        assert type(workload).__module__ == "my_network"
        assert isinstance(pickle.loads(pickle.dumps(workload)), type(workload))
        assert file.name == "my_network"
    assert set(sys.modules) == before
    assert sys.meta_path == finders


def test_what_stands_under_main_is_not_run(tmp_path: Path) -> None:
    with loaded(write(tmp_path, f"{WHOLE}\nif __name__ == '__main__': raise RuntimeError")) as file:
        assert file.workload(argparse.Namespace())


def test_modules_beside_the_file_can_be_imported_also_later(tmp_path: Path) -> None:
    write(tmp_path, "VALUE = 3", "beside_it.py")
    (tmp_path / "folder_beside").mkdir()
    write(tmp_path / "folder_beside", "from folder_beside.inner import VALUE", "__init__.py")
    write(tmp_path / "folder_beside", "VALUE = 4", "inner.py")
    path = write(
        tmp_path,
        "import beside_it\n"
        "def space(workload):\n"
        "    from folder_beside import VALUE\n"
        "    raise KeyError(VALUE + beside_it.VALUE)",
    )
    import_module("qspinn_optuna.space")
    before = set(sys.modules)
    with pytest.raises(CommandError, match=r"my_network.py, line 4: KeyError: 7"), loaded(path) as file:
        file.space(None)  # type: ignore[arg-type]
    assert set(sys.modules) == before


def test_two_files_with_modules_of_the_same_name_beside_them_do_not_mix(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, f"NAME = {folder!r}", "beside_it.py")
        with loaded(write(tmp_path / folder, "from beside_it import NAME")) as file:
            assert vars(file.module)["NAME"] == folder


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", r"my_network.py, line 1: ModuleNotFoundError: .*nothing_of_that_name"),
        ("\n1 / 0", r"my_network.py, line 2: ZeroDivisionError: division by zero"),
        ("def workload(:", r"my_network.py, line 1: SyntaxError"),
        ("x = 1", r"my_network.py must have a function workload\(\)"),
        ("workload = 1", "workload of my_network.py must be a function, got an int"),
        ("def workload(): pass", "workload of my_network.py must return a workload, got None"),
        ("class A: pass\ndef workload(): return A", "must return a workload, got the class A"),
        (
            "class A: pass\ndef workload(): return A()",
            "got an A, which has no parameters, deployment, baseline, evaluate, describe$",
        ),
        (WHOLE.replace("baseline = ", ""), "got a Mine, which has no baseline$"),
        (WHOLE.replace("def describe(self): return {}", "describe = {}"), "describe is not a method"),
        (WHOLE.replace("workload()", "workload(size)"), r"workload of my_network.py .* workload\(size\)"),
        (
            "def workload():\n    from qspinn_optuna import QFormat\n    return QFormat(0, 0, False)",
            r"my_network.py, line 3: [^:]*must",
        ),
    ],
)
def test_a_file_that_makes_no_workload_is_told_in_a_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CommandError, match=message) as error, loaded(write(tmp_path, text)) as file:
        file.workload(argparse.Namespace())
    assert error.value.exit_code == 1
    assert "\n" not in str(error.value)


def test_a_workload_is_not_asked_for_its_values(tmp_path: Path) -> None:
    text = WHOLE.replace("baseline = None", "_ = None\n    @property\n    def baseline(self): raise RuntimeError")
    with loaded(write(tmp_path, text)) as file:
        file.workload(argparse.Namespace())


def test_arguments_go_to_a_workload_whose_file_adds_some(tmp_path: Path) -> None:
    text = WHOLE.replace("workload()", "workload(arguments)").replace("return Mine()", "raise KeyError(arguments.size)")
    path = write(tmp_path, f"{text}\ndef add_arguments(parser): parser.add_argument('--size', type=int)")
    parser = argparse.ArgumentParser()
    with loaded(path) as file:
        file.add_arguments(parser)
        with pytest.raises(KeyError, match="5"):
            file.workload(parser.parse_args(["--size", "5"]))


def test_a_file_may_blame_the_command_line(tmp_path: Path) -> None:
    text = "import argparse\ndef workload(): raise argparse.ArgumentError(None, '--size needs --shape')"
    with pytest.raises(UsageError, match="--size needs --shape"), loaded(write(tmp_path, text)) as file:
        file.workload(argparse.Namespace())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.py", "FILE.py must be .*nowhere.py"),
        ("random.py", "FILE.py must not have the name of another module, random of Python"),
        ("pytest.py", "FILE.py must not have the name of another module, .*rename it"),
        ("my.network.py", "FILE.py must have a name without dots"),
        ("network.txt", "FILE.py must end with .py"),
    ],
)
def test_a_path_that_is_no_such_file_is_refused(tmp_path: Path, name: str, message: str) -> None:
    if name != "nowhere.py":
        write(tmp_path, WHOLE, name)
    with pytest.raises(UsageError, match=message) as error, loaded(tmp_path / name):
        pass
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "call", "message"),
    [
        (
            "def space(workload): return {}",
            "space",
            "space of my_network.py must return a QuantizationSpace, got a dict",
        ),
        ("def first_trials(space): return {}", "first_trials", "first_trials of my_network.py must return a list"),
        ("def first_trials(space): return [1]", "first_trials", "first_trials of my_network.py must return a list"),
        ("def controls(workload): return 1", "controls", "controls of my_network.py must return a dict"),
        ("def controls(): return {}", "controls", r"controls of my_network.py is called with 1 arguments"),
    ],
)
def test_the_other_functions_must_return_what_they_should(tmp_path: Path, text: str, call: str, message: str) -> None:
    with pytest.raises(CommandError, match=message), loaded(write(tmp_path, text)) as file:
        getattr(file, call)(None)
