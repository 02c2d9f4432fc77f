"""What it costs to drop inputs: one quantization, with the inputs that spike less than so often left out.

One-bit weights with 8-bit scales, 10-bit membranes, 8-bit thresholds and decay, rounded to nearest after training;
accuracy on the held-out training images, since this is where a threshold would be chosen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from qspinn_optuna import QuantizationSpace, Rounding, Scheme
from qspinn_optuna.datasets import mnist_from_folder
from qspinn_optuna.workloads.stdp import STDPSettings, STDPWorkload
from searching.evaluations import whole_accuracy
from searching.markdown import markdown_header, markdown_row

WIDTHS = {"weight": 1, "scale": 8, "membrane": 10, "theta": 8, "membrane_decay": 8}


def main() -> None:
    """Print a line for each threshold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--spikes", type=float, nargs="+", default=[0.0, 0.05, 0.5, 2.0, 4.0, 8.0], help="an image")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = mnist_from_folder(arguments.data_dir)
    columns = ["inputs with fewer spikes an image are dropped", "inputs left", "smaller", "held-out images (float)"]
    print(markdown_header(columns))
    for spikes in arguments.spikes:
        workload = STDPWorkload(data, STDPSettings(minimum_input_spikes=spikes), seed=arguments.seed)
        space = QuantizationSpace(workload.parameters, WIDTHS)
        config = space.uniform(8, Scheme.PTQ, Rounding.NEAREST)
        cells = [
            f"{spikes:g}",
            f"{len(workload.kept_inputs)}",
            f"{space.footprint(config).compression:.1f}x",
            f"{whole_accuracy(workload, config, arguments.seed):.2%} ({workload.baseline:.2%})",
        ]
        print(markdown_row(cells), flush=True)


if __name__ == "__main__":
    main()
