"""How much faster two workers search the MNIST study than one: wall time, both alternately.

The float network is trained and its accuracy measured before the clock starts, as it is once whatever the workers.
A study is searched by random search, so that both have trials of the same kind; each round is a study of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import optuna

from qspinn_optuna import QuantizationObjective, STDPWorkload, open_study, run_workers
from qspinn_optuna.datasets import embedded_mnist, mnist_from_folder
from qspinn_optuna.workloads.stdp.mnist import mnist_settings, search_space


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="folder of MNIST's IDX files; the embedded digits if not given")
    parser.add_argument("--train-size", type=int, default=3_000)
    parser.add_argument("--neurons", type=int, default=400)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    data = embedded_mnist() if arguments.data_dir is None else mnist_from_folder(arguments.data_dir)
    data = data.with_train_size(arguments.train_size)
    workload = STDPWorkload(data, mnist_settings(len(data.train), neurons=arguments.neurons))
    print(f"float network: {workload.baseline:.2%}; {os.cpu_count()} cores, {arguments.trials} trials", flush=True)
    runs: dict[int, list[float]] = {workers: [] for workers in arguments.workers}
    for number in range(arguments.rounds):
        for workers, done in runs.items():
            done.append(timed(workload, arguments.trials, workers, number))
            print(f"round {number}, {workers} workers: {done[-1]:.1f} s", flush=True)
    _print_table(runs)


def timed(workload: STDPWorkload, trials: int, workers: int, seed: int) -> float:
    """Seconds of the search of a new study.

    Args:
        workload: What is quantized; its float network is trained.
        trials: Trials in all.
        workers: Processes; with one, too, trials run in a process of their own.
        seed: Of the samplers.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = search_space(workload)
    with tempfile.TemporaryDirectory() as folder:
        storage = f"sqlite:///{Path(folder) / 'study.db'}"
        study = open_study("speed-up", storage, space, workload=workload, accuracy_drop=0.01)
        objective = QuantizationObjective(workload, space)
        start = time.perf_counter()
        run_workers(study, objective, trials, workers=workers, sampler=optuna.samplers.RandomSampler, seed=seed)
        return time.perf_counter() - start


def _print_table(runs: dict[int, list[float]]) -> None:
    first = next(iter(runs))
    base = statistics.median(runs[first])
    print("\nworkers  wall, median (s)  range (s)      speed-up")
    for workers, done in runs.items():
        walls = sorted(done)
        median = statistics.median(walls)
        print(f"{workers:7}  {median:16.1f}  {walls[0]:5.1f} - {walls[-1]:5.1f}  {base / median:8.2f}x")


if __name__ == "__main__":
    main()
