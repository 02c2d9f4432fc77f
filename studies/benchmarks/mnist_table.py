"""Make the table of the STDP network on MNIST: every configuration of a grid, evaluated.

100 neurons, 10,000 training images, inputs under 2 spikes an image dropped; 10,000 held-out images. It takes 70
minutes of one core; interrupted, the same command goes on. The table is part of the project, so that nobody need make
it again: compare_samplers.py and compare_pruning.py read it.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from qspinn_optuna.datasets import mnist_from_folder
from qspinn_optuna.workloads.stdp import STDPSettings, STDPWorkload
from searching.problems import table_path
from searching.tables import size_of
from searching.tabulation import make_table

WIDTHS = {"weight": (1, 7), "membrane": (5, 11), "theta": (3, 9), "scale": 8, "membrane_decay": 16}
SETTINGS = STDPSettings(
    neurons=100, label_images=5_000, adaptation_images=2_000, minimum_input_spikes=2.0, voltage_range=1024.0
)


def main() -> None:
    """Make the table and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--processes", type=int, default=2, help="evaluations at once")
    parser.add_argument("--output", type=Path, default=table_path("mnist"))
    arguments = parser.parse_args()
    table = make_table(partial(make_workload, arguments.data_dir), WIDTHS, arguments.output, arguments.processes)
    print(f"{size_of(table.space)} configurations, float {table.baseline:.2%}, best {table.accuracy.max():.2%}")


def make_workload(data_dir: Path) -> STDPWorkload:
    """The network, small and trained on little, so that thousands of evaluations fit into an hour."""
    return STDPWorkload(mnist_from_folder(data_dir).with_train_size(10_000), SETTINGS, threads=1)


if __name__ == "__main__":
    main()
