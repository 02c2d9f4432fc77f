from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def test_the_package_loads_and_searches_without_the_project_it_comes_from() -> None:
    program = """
import sys, optuna, optunahub
optuna.logging.set_verbosity(optuna.logging.ERROR)
module = optunahub.load_local_module("samplers/known_objective", registry_root=sys.argv[1])
space = {"x": optuna.distributions.IntDistribution(1, 4), "y": optuna.distributions.IntDistribution(1, 4)}
known = lambda params: params["x"] + 2 * params["y"]
sampler = module.KnownObjectiveSampler(space, known, seed=0)
study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
def objective(trial):
    params = {name: trial.suggest_int(name, 1, 4) for name in space}
    return known(params), params["x"] * params["y"]
study.optimize(objective, n_trials=100)
assert len(study.trials) == len({tuple(trial.params.values()) for trial in study.trials}) == 16
assert not any(name.startswith("qspinn_optuna") for name in sys.modules)
"""
    registry = str(PACKAGE.parents[1])
    subprocess.run([sys.executable, "-c", program, registry], check=True, env={"OPTUNAHUB_NO_ANALYTICS": "1"})


def test_the_example_prints_a_front() -> None:
    finished = subprocess.run(
        [sys.executable, str(PACKAGE / "example.py")],
        check=True,
        capture_output=True,
        text=True,
        env={"OPTUNAHUB_NO_ANALYTICS": "1"},
    )
    lines = finished.stdout.splitlines()
    assert len(lines) >= 10
    assert all("parameters" in line for line in lines)
