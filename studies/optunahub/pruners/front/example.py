"""Two studies whose trials are stopped once they cannot enter the front: by counts, and by learning curves."""

from __future__ import annotations

import random
from pathlib import Path

import optuna
import optunahub
from optuna.study import StudyDirection

SAMPLES, STEPS = 2_000, 10

module = optunahub.load_local_module("pruners/front", registry_root=str(Path(__file__).parents[2]))


def counted(trial: optuna.Trial) -> tuple[float, float]:
    """The size of a model, and its accuracy on samples in random order."""
    pruner = module.FrontPruner(confidence=0.95, known=(0,))
    width, depth = trial.suggest_int("width", 1, 64), trial.suggest_int("depth", 1, 4)
    size, accuracy = float(depth * width**2), (1 - 0.8 / width) * (1 - 0.3**depth)
    draws, correct = random.Random(trial.number), 0
    for seen in range(1, SAMPLES + 1):
        correct += draws.random() < accuracy
        if seen % 100 == 0 and pruner.should_prune_counts(trial, (size, None), correct, seen, total=SAMPLES):
            raise optuna.TrialPruned
    return size, correct / SAMPLES


def trained(trial: optuna.Trial) -> tuple[float, float]:
    """Error and energy, both to be minimized and both known at the end of a training only."""
    pruner = module.FrontPruner(confidence=0.9)
    rate, width = trial.suggest_float("rate", 0.05, 1), trial.suggest_int("width", 1, 64)
    values = (1.0, 1.0)
    for step in range(1, STEPS + 1):
        values = (1 / width + (1 - rate) ** step, width / 64 * (1 - 0.03 * step))
        if step < STEPS and pruner.should_prune(trial, values, step):
            raise optuna.TrialPruned
    return values


def main() -> None:
    """Run both studies, and print what was stopped."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    best, least = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
    for objective, directions in ((counted, [least, best]), (trained, [least, least])):
        study = optuna.create_study(directions=directions, sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(objective, n_trials=100)
        stopped = len(study.get_trials(states=(optuna.trial.TrialState.PRUNED,)))
        print(f"{objective.__name__}: {stopped} of 100 trials stopped, {len(study.best_trials)} on the front")


if __name__ == "__main__":
    main()
