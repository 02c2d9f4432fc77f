"""A network's width and depth: its parameters are counted, its accuracy is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import optunahub
from optuna.distributions import IntDistribution

SPACE = {"width": IntDistribution(1, 512), "depth": IntDistribution(1, 8)}


def count_parameters(params: dict[str, Any]) -> float:
    """The known objective."""
    return float(params["depth"] * params["width"] ** 2)


def objective(trial: optuna.Trial) -> tuple[float, float]:
    """Parameters and accuracy."""
    params = {name: trial.suggest_int(name, value.low, value.high) for name, value in SPACE.items()}
    accuracy = (1 - 1 / params["width"]) * (1 - 0.3 ** params["depth"])
    return count_parameters(params), accuracy


def main() -> None:
    """Search, and print the front."""
    registry = Path(__file__).parents[2]
    module = optunahub.load_local_module("samplers/known_objective", registry_root=str(registry))
    sampler = module.KnownObjectiveSampler(SPACE, known=count_parameters, seed=0)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    study.optimize(objective, n_trials=50)
    for trial in sorted(study.best_trials, key=lambda trial: trial.values[0]):
        print(f"{trial.values[0]:12,.0f} parameters  {trial.values[1]:.2%}  {trial.params}")


if __name__ == "__main__":
    main()
