"""The packages for OptunaHub, assembled and loaded without the project that they come from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from searching.problems import TABLES, table_path
from searching.published_tables import PUBLISHED
from searching.tables import EvaluationTable, params_of_row

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


@pytest.mark.parametrize(
    ("package", "original", "own"),
    [
        ("samplers/known_objective", "sampler/known_objective", {"known_objective"}),
        ("pruners/front", "pruning/sequential.py", {"pruner.py", "sequential.py"}),
        ("benchmarks/snn_quantization", "", {"problem.py", "tables.json"}),
    ],
)
def test_they_have_the_files_of_a_package_and_no_link(output: Path, package: str, original: str, own: set[str]) -> None:
    folder = output / "package" / package
    usual = {"README.md", "LICENSE", "example.py", "requirements.txt", "__init__.py", "tests"}
    assert {path.name for path in folder.iterdir()} == usual | own
    assert (folder / "README.md").read_text().startswith("---\nauthor: ")
    assert not any(path.is_symlink() or path.name == "__pycache__" for path in folder.rglob("*"))
    if original:
        source = BUILD.parents[2] / "qspinn_optuna" / original
        copied = [(path, folder / source.name / path.name) for path in source.glob("*.py")]
        for path, copy in copied or [(source, folder / source.name)]:
            assert copy.read_bytes() == path.read_bytes()


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


def test_optunahub_loads_the_pruner_and_the_problems_without_the_project(output: Path) -> None:
    program = f"""{WITHOUT_PROJECT}
import optuna, optunahub
load = lambda name: optunahub.load_local_module(name, registry_root=sys.argv[1])
problem = load("benchmarks/snn_quantization").Problem("mnist")
pruner = load("pruners/front").FrontPruner(known=(0,))
study = optuna.create_study(directions=problem.directions, sampler=optuna.samplers.RandomSampler(seed=0))
study.optimize(problem, n_trials=20)
assert pruner.should_prune_counts(study.ask(), (problem.float_kib, None), 0, 5_000, total=10_000)
assert not pruner.should_prune_counts(study.ask(), (0.0, None), 0, 5_000, total=10_000)
"""
    finished = python("-c", program, output / "package")
    assert finished.returncode == 0, finished.stderr


def test_the_published_tables_are_those_of_the_benchmarks() -> None:
    tables = json.loads(PUBLISHED.read_text())
    assert tables.keys() == TABLES.keys()
    for name, table in tables.items():
        original = EvaluationTable.load(table_path(name))
        assert list(map(int, table["correct"].split())) == original.correct[:, -1].tolist()
        assert (table["samples"], table["float_accuracy"]) == (original.seen[-1], original.baseline)
        for row in range(0, len(original.correct), 131):
            params = params_of_row(original.space, row)
            config = original.space.config(params)
            kib = sum(slope * params.get(name, 1) for name, slope in table["kib"].items())
            assert kib == pytest.approx(original.space.footprint(config).kib, rel=1e-12)
            assert table["float_kib"] == original.space.footprint(config).baseline_kib
            assert all(params[name] == value for name, value in table["fixed"].items())


def test_their_own_tests_pass_without_the_project(output: Path) -> None:
    program = f'{WITHOUT_PROJECT}import pytest; sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", sys.argv[1]]))'
    finished = python("-c", program, output / "package")
    assert finished.returncode == 0, finished.stdout
    assert "28 passed" in finished.stdout


def test_a_package_that_is_there_is_not_overwritten_and_a_file_is_refused(output: Path) -> None:
    for given in (output, output / "package" / "samplers" / "known_objective" / "README.md"):
        refused(given)


def refused(given: Path) -> None:
    finished = python(BUILD, "--output", given)
    assert finished.returncode == 2
    assert "--output" in finished.stderr.splitlines()[-1]
    assert "Traceback" not in finished.stderr
