"""How much of the front random search and TPE miss after 50 trials."""

from __future__ import annotations

from pathlib import Path

import optuna
import optunahub


def main() -> None:
    """Search both networks with both samplers."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    registry = Path(__file__).parents[2]
    module = optunahub.load_local_module("benchmarks/snn_quantization", registry_root=str(registry))
    for name in module.Problem.available_names:
        problem = module.Problem(name)
        for sampler in (optuna.samplers.RandomSampler(seed=0), optuna.samplers.TPESampler(seed=0)):
            study = optuna.create_study(directions=problem.directions, sampler=sampler)
            study.optimize(problem, n_trials=50)
            print(f"{name:13s} {type(sampler).__name__:13s} misses {problem.regret(study):.2%} of the area")


if __name__ == "__main__":
    main()
