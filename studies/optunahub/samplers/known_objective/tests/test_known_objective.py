"""Tests of the assembled package, in the registry's layout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import optunahub
from optuna.distributions import IntDistribution

PACKAGE = Path(__file__).parents[1]
SPACE = {"x": IntDistribution(1, 4), "y": IntDistribution(1, 4)}


def known(params: dict[str, Any]) -> float:
    return float(params["x"] + 2 * params["y"])


def objective(trial: optuna.Trial) -> tuple[float, float]:
    params = {name: trial.suggest_int(name, value.low, value.high) for name, value in SPACE.items()}
    return known(params), params["x"] * params["y"]


def test_a_study_sees_every_configuration_once_and_ends() -> None:
    module = optunahub.load_local_module("samplers/known_objective", registry_root=str(PACKAGE.parents[1]))
    study = optuna.create_study(
        directions=["minimize", "maximize"], sampler=module.KnownObjectiveSampler(SPACE, known, seed=0)
    )
    study.optimize(objective, n_trials=100)
    assert len(study.trials) == len({tuple(trial.params.values()) for trial in study.trials}) == 16


def test_the_example_prints_a_front() -> None:
    finished = subprocess.run(
        [sys.executable, str(PACKAGE / "example.py")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OPTUNAHUB_NO_ANALYTICS": "1"},
    )
    lines = finished.stdout.splitlines()
    assert len(lines) >= 10
    assert all("parameters" in line for line in lines)
