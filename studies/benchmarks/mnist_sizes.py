"""Sizes of the STDP network on full MNIST, at one bit a weight: the vote and the class weights beside their floats.

For each size and seed a float network is trained on the first 50,000 training images, with the settings of
`STDPSettings.for_neurons`; all of these images label the neurons, or give their class weights. Quantized after training
are all values: weights to 1 bit, membranes to 10, scales and thresholds to 8, class weights to 4. Nothing is chosen
here: the settings were found on the 10,000 held-out training images, and the test images are looked at once.

Networks and figures are kept in the output folder; run again, what is there is not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from qspinn_optuna import (
    Deployment,
    Footprint,
    QuantizationConfig,
    QuantizationSpace,
    Rounding,
    Scheme,
    TrainingProgress,
)
from qspinn_optuna.datasets import ImageSplits, mnist_from_folder
from qspinn_optuna.workloads.stdp import ReadoutKind, STDPNetwork, STDPSettings, STDPWorkload
from qspinn_optuna.workloads.stdp.network import float_neuron, train
from qspinn_optuna.workloads.stdp.quantization import parameters
from searching.markdown import markdown_header, markdown_row

WIDTHS = {"weight": 1, "scale": 8, "membrane": 10, "threshold": 8, "decay": 16, "readout": 4}
COLUMNS = [
    "neurons", "readout", "seeds", "float, held-out", "1 bit, held-out", "float, test", "1 bit, test",
    "smaller, all inputs", "smaller", "s a pass",
]  # fmt: skip


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--output", type=Path, default=Path("mnist-sizes"), help="folder of networks and figures")
    parser.add_argument("--neurons", type=int, nargs="+", default=[400, 1_600, 6_400])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--readouts", type=ReadoutKind, nargs="+", default=list(ReadoutKind))
    parser.add_argument("--threads", type=int, default=1, help="that measure")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    data = mnist_from_folder(arguments.data_dir)
    rows = []
    for neurons in arguments.neurons:
        for readout in arguments.readouts:
            settings = replace(STDPSettings.for_neurons(neurons), readout=readout, label_images=len(data.train))
            figures = [measured(data, settings, seed, arguments.output, arguments.threads) for seed in arguments.seeds]
            rows.append(row(settings, figures))
    print(markdown_header(COLUMNS))
    print("\n".join(rows))


def measured(data: ImageSplits, settings: STDPSettings, seed: int, folder: Path, threads: int) -> dict[str, float]:
    """The figures of one network."""
    path = folder / f"{settings.neurons}-{settings.readout}-{seed}.json"
    if not path.exists():
        network, seconds = trained(data, settings, seed, folder)
        workload = STDPWorkload(data, settings, seed=seed, threads=threads)
        workload.network = workload.ready_to_infer(network)
        figures = figures_of(workload, seed) | {"s a pass": seconds / settings.epochs}
        print(path.stem, figures, flush=True)
        path.write_text(json.dumps(figures, indent=2))
    known: dict[str, float] = json.loads(path.read_text())
    return known


def trained(data: ImageSplits, settings: STDPSettings, seed: int, folder: Path) -> tuple[STDPNetwork, float]:
    """The float network as training left it, and the CPU time that it took."""
    path = folder / f"network-{settings.neurons}-{seed}.npz"
    if not path.exists():
        # Compile the kernels first: that is not training.
        train(data.train.images[:2], settings, seed)
        start = time.process_time()
        network = train(data.train.images, settings, seed)
        seconds = time.process_time() - start
        np.savez(path, weights=network.weights, scale=network.scale, theta=network.theta, seconds=seconds)
        print(f"{settings.neurons} neurons, seed {seed}: {seconds / settings.epochs:.1f} s a pass", flush=True)
    with np.load(path) as known:
        network = STDPNetwork(known["weights"], known["scale"], known["theta"], float_neuron(settings))
        return network, float(known["seconds"])


def figures_of(workload: STDPWorkload, seed: int) -> dict[str, float]:
    """Accuracies in percent, and how many times smaller the 1-bit network is."""
    space = QuantizationSpace(workload.parameters, WIDTHS)
    config = space.uniform(1, Scheme.PTQ, Rounding.NEAREST)
    counts = [look for look in workload.evaluate(config, seed) if not isinstance(look, TrainingProgress)]
    correct, seen = counts[-1]
    return {
        "float, held-out": 100 * workload.baseline,
        "1 bit, held-out": 100 * correct / seen,
        "float, test": 100 * workload.test_baseline,
        "1 bit, test": 100 * workload.test(config, seed),
        "smaller": space.footprint(config).compression,
        "smaller, all inputs": with_all_inputs(workload, config),
    }


def with_all_inputs(workload: STDPWorkload, config: QuantizationConfig) -> float:
    """How many times smaller the network would be if the inputs that never spike were kept."""
    data = workload.data
    inputs = data.train.images.shape[1]
    specs = parameters(workload.settings, inputs, inputs, data.classes, Deployment.INFERENCE)
    widths = {name: quantization.format.bits for name, quantization in config.parameters.items()}
    return Footprint.of(specs, widths).compression


def row(settings: STDPSettings, figures: Sequence[Mapping[str, float]]) -> str:
    """A line of the table: means over the seeds, with standard errors of the accuracies."""
    cells = [f"{settings.neurons:,}", settings.readout.replace("_", " "), str(len(figures))]
    for name in COLUMNS[3:7]:
        values = [figure[name] for figure in figures]
        error = f" +- {statistics.stdev(values) / len(values) ** 0.5:.2f}" if len(values) > 1 else ""
        cells.append(f"{statistics.mean(values):.2f} %{error}")
    cells += [f"{statistics.mean(figure[name] for figure in figures):.1f}x" for name in COLUMNS[7:9]]
    return markdown_row([*cells, f"{statistics.mean(figure['s a pass'] for figure in figures):.0f}"])


if __name__ == "__main__":
    main()
