"""The package for OptunaHub, assembled and loaded without the project that it comes from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[2] / "studies" / "optunahub" / "build.py"
SPACE = '{name: optuna.distributions.IntDistribution(1, 4) for name in "xy"}'
WITHOUT_PROJECT = 'import sys; sys.modules["qspinn_optuna"] = None; '
"""Makes every import of the project fail."""


def python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "OPTUNAHUB_NO_ANALYTICS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("built")
    finished = python(BUILD, "--output", output)
    assert finished.returncode == 0, finished.stderr
    assert "registry_root=" in finished.stdout
    return output


def test_it_has_the_files_of_a_package_and_no_link(output: Path) -> None:
    package = output / "package" / "samplers" / "known_objective"
    names = {"README.md", "LICENSE", "example.py", "requirements.txt", "__init__.py", "tests", "known_objective"}
    assert {path.name for path in package.iterdir()} == names
    assert (package / "README.md").read_text().startswith("---\nauthor: ")
    assert not any(path.is_symlink() or path.name == "__pycache__" for path in output.rglob("*"))
    original = BUILD.parents[2] / "qspinn_optuna" / "sampler" / "known_objective"
    assert {path.name for path in (package / "known_objective").iterdir()} == {
        path.name for path in original.glob("*.py")
    }


def test_optunahub_loads_it_without_the_project(output: Path) -> None:
    program = f"""{WITHOUT_PROJECT}
import optuna, optunahub
module = optunahub.load_local_module("samplers/known_objective", registry_root=sys.argv[1])
sampler = module.KnownObjectiveSampler({SPACE}, lambda params: params["x"] + 2 * params["y"], seed=0)
assert issubclass(module.SpaceExhausted, optuna.TrialPruned)
study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
def objective(trial):
    params = {{name: trial.suggest_int(name, 1, 4) for name in "xy"}}
    return params["x"] + 2 * params["y"], params["x"] * params["y"]
study.optimize(objective, n_trials=100)
assert len(study.trials) == 16
"""
    finished = python("-c", program, output / "package")
    assert finished.returncode == 0, finished.stderr


def test_its_own_tests_pass_without_the_project(output: Path) -> None:
    program = f'{WITHOUT_PROJECT}import pytest; sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", sys.argv[1]]))'
    finished = python("-c", program, output / "package")
    assert finished.returncode == 0, finished.stdout
    assert "2 passed" in finished.stdout


def test_a_package_that_is_there_is_not_overwritten_and_a_file_is_refused(output: Path) -> None:
    for given in (output, output / "package" / "samplers" / "known_objective" / "README.md"):
        refused(given)


def refused(given: Path) -> None:
    finished = python(BUILD, "--output", given)
    assert finished.returncode == 2
    assert "--output" in finished.stderr.splitlines()[-1]
    assert "Traceback" not in finished.stderr
