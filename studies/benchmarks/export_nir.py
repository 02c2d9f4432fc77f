"""How many spikes of a trained convolutional network are others where a program runs its NIR graph.

The network of `dvs_gesture.py` is trained on N-MNIST for a few epochs and quantized at uniform widths, to nearest. Its
graph is run in floating point by forward Euler: by the letter of NIR, which fires above the threshold; by a program
that fires at it; and by one that also subtracts the threshold. The more bits, the nearer they are.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from qspinn_optuna import Scheme
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.export import NIRReader, nir_difference
from qspinn_optuna.integer import classify
from qspinn_optuna.tables import format_table
from qspinn_optuna.workloads.supervised.events import (
    RECIPES,
    event_workload,
    load_splits,
    search_space,
    uniform_params,
)

WIDTHS = ((2, 2), (4, 2), (4, 4), (8, 8))
"""Bits of weights and membranes."""

READERS = {
    "by the letter": NIRReader(),
    "fires at the threshold": NIRReader(fires_at_threshold=True),
    "and subtracts it": NIRReader(fires_at_threshold=True, subtracts=True),
}


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of N-MNIST")
    parser.add_argument("--epochs", type=positive, default=8, help="of training (%(default)s)")
    parser.add_argument("--samples", type=positive, default=40, help="of the test set (%(default)s)")
    parser.add_argument("--cache", type=Path, help="folder that keeps the trained network")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe = replace(RECIPES["nmnist"], epochs=arguments.epochs)
    data = load_splits(recipe, arguments.data_dir, pool=True, seed=0)
    workload = event_workload(recipe, data, cache=arguments.cache)
    space = search_space(workload)
    print(f"float: {workload.accuracy_of(workload.network, workload.test_batches):.1%} of the test set", flush=True)
    rows = []
    for weight_bits, membrane_bits in WIDTHS:
        config = space.config(uniform_params(space, weight_bits, membrane_bits, Scheme.PTQ))
        model = workload.integer_model(config)
        samples = workload.integer_samples(config, count=arguments.samples)
        right = (classify(model, samples.inputs) == samples.labels).mean()
        shares = [f"{nir_difference(model, samples.inputs, reader=reader):.1%}" for reader in READERS.values()]
        rows.append([f"{weight_bits}", f"{membrane_bits}", f"{right:.1%}", *shares])
    print(format_table(["weights", "membranes", "right", *READERS], rows))


if __name__ == "__main__":
    main()
