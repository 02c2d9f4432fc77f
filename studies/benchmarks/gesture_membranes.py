"""What membrane potentials are worth: accuracy against their width, on gestures that need a memory.

Generated gestures, polarities merged, half of them played backwards: a network without state sees the frames of a
clockwise and a counter-clockwise circle in no order, and can only guess. All weights have the same width; the last row
is the float network whose states are reset at every step, trained for as many epochs as before from the weights that it
had. Accuracies are those on people that no network has seen.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from torch import nn

from qspinn_optuna import Scheme
from qspinn_optuna.cli.argument_types import output_file, positive
from qspinn_optuna.cli.json_files import write_json
from qspinn_optuna.tables import format_table
from qspinn_optuna.workloads.supervised import FrameBatches
from qspinn_optuna.workloads.supervised.events import (
    EVALUATION_BATCH,
    GESTURES,
    circles_of,
    event_workload,
    generate_gestures,
    load_splits,
    search_space,
    uniform_params,
)

MEMBRANE_BITS = (8, 4, 3, 2, 1)


def main() -> None:
    """Measure all rows for all seeds, and print their means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="gesture_membranes", help="folder for the gestures, and one more a seed")
    parser.add_argument("--cache", type=Path, default=Path("qspinn-cache"), help="folder that keeps trained networks")
    parser.add_argument("--weight-bits", type=int, choices=range(2, 9), default=4)
    parser.add_argument("--users", type=positive, default=30, help="people whose gestures are generated for training")
    parser.add_argument("--test-users", type=positive, default=12, help="other people, for the test")
    parser.add_argument("--seeds", type=positive, default=1)
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write the figures to this file")
    arguments = parser.parse_args()
    seeds = [one_seed(arguments, seed) for seed in range(arguments.seeds)]
    rows = []
    for name in seeds[0]:
        parts = [[seed[name][part] for seed in seeds] for part in ("all", "circles")]
        ratio = seeds[0][name].get("compression")
        rows.append([name, f"{ratio:.1f}x" if ratio else "", *(f"{statistics.mean(part):.2%}" for part in parts)])
    print(format_table(["network", "ratio", "all classes", "circling arms"], rows))
    if arguments.json is not None:
        write_json(arguments.json, {"weight_bits": arguments.weight_bits, "seeds": seeds})


def one_seed(arguments: argparse.Namespace, seed: int) -> dict[str, dict[str, Any]]:
    """Accuracies of every network, by its name."""
    root = Path(f"{arguments.data_dir}-{seed}")
    generate_gestures(root, arguments.users, arguments.test_users, seed)
    data = load_splits(GESTURES, root, pool=False, seed=seed)
    workload = event_workload(GESTURES, data, cache=arguments.cache, seed=seed)
    circles = circles_of(data)
    assert circles is not None

    def accuracies(network: nn.Module) -> dict[str, Any]:
        parts = {"all": data.test, "circles": circles}
        return {
            name: workload.accuracy_of(network, FrameBatches(part, EVALUATION_BATCH)) for name, part in parts.items()
        }

    space = search_space(workload)
    found = {"float": accuracies(workload.network), "float, fine-tuned": accuracies(workload.baseline_network)}
    for bits in MEMBRANE_BITS:
        for scheme in Scheme:
            config = space.config(uniform_params(space, arguments.weight_bits, bits, scheme))
            found[f"{scheme}, membranes of {bits} bits"] = {
                "compression": space.footprint(config).compression,
                **accuracies(workload.quantize(config, seed)),
            }
    return found | {"float, states deleted, retrained": accuracies(workload.state_deleted)}


if __name__ == "__main__":
    main()
