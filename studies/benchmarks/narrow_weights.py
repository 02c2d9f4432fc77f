"""What each choice for weights of one bit brings alone, on N-MNIST: an ablation at fixed widths.

The weights of the first layer have four bits, those of the others one, membranes one. Each row changes one thing of the
recipe `nmnist-narrow`. For each seed the data are pooled and split 72 : 8 : 20, and the change of test accuracy is that
against the float network that was trained for the same epochs. Trained networks are kept in the cache, so that an
interrupted run goes on.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from qspinn_optuna import GridKind, QuantizationConfig, Scheme, SupervisedWorkload
from qspinn_optuna.cli.argument_types import output_file, positive
from qspinn_optuna.cli.json_files import write_json
from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.networks import ChannelScale
from qspinn_optuna.parameters import Family, Footprint
from qspinn_optuna.tables import format_table
from qspinn_optuna.workloads.supervised import Distillation, QuantizedTraining
from qspinn_optuna.workloads.supervised.events import NARROW_NMNIST, EventRecipe, event_workload, load_splits

BITS = {Family.WEIGHT: 1, Family.SCALE: 8, Family.MEMBRANE: 1}
"""Widths of families; all others have six bits."""

FIRST_LAYER_BITS = 4


def trained(**settings: Any) -> EventRecipe:
    """The recipe with other settings of the training."""
    return replace(NARROW_NMNIST, quantized=QuantizedTraining(**settings))


ROWS: dict[str, tuple[EventRecipe, int]] = {
    "recipe": (NARROW_NMNIST, FIRST_LAYER_BITS),
    "gradients clipped at the ends of formats": (trained(clip_gradients=True), FIRST_LAYER_BITS),
    "states rounded in the second half of the epochs only": (trained(float_states=0.5), FIRST_LAYER_BITS),
    "distilled from the float network": (trained(distillation=Distillation()), FIRST_LAYER_BITS),
    "scales are powers of two": (replace(NARROW_NMNIST, channel_scale=ChannelScale.POWER_OF_TWO), FIRST_LAYER_BITS),
    "a quarter of the epochs": (replace(NARROW_NMNIST, fine_tune_epochs=5), FIRST_LAYER_BITS),
    "first layer of one bit, too": (NARROW_NMNIST, 1),
}
"""Recipes, and widths of the weights of the first layer, by what they change."""


def main() -> None:
    """Run all rows of all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of N-MNIST")
    parser.add_argument("--seeds", type=positive, default=5)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help="rows to run")
    parser.add_argument("--cache", type=Path, default=Path("qspinn-cache"), help="folder that keeps trained networks")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write the figures to this file")
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {}
    for name in arguments.rows:
        recipe, first = ROWS[name]
        found[name] = [measured(recipe, first, arguments, seed) for seed in range(arguments.seeds)]
        changes = [f"{one['change']:+.2f}" for one in found[name]]
        print(f"{name}: {', '.join(changes)}", flush=True)
    print(format_table(["what changes", "smaller", "change", "s. e."], [row(*one) for one in found.items()]))
    if arguments.json is not None:
        write_json(arguments.json, found)


def measured(recipe: EventRecipe, first: int, arguments: argparse.Namespace, seed: int) -> dict[str, float]:
    """Compression, and accuracies in percent, of one recipe and seed."""
    data = load_splits(recipe, arguments.data_dir, pool=True, seed=seed)

    def make(made: EventRecipe) -> SupervisedWorkload:
        return event_workload(made, data, cache=arguments.cache, seed=seed)

    workload = make(recipe)
    # The control does not depend on how quantized networks are trained, nor on their scales, but on its epochs.
    control = make(replace(NARROW_NMNIST, fine_tune_epochs=recipe.fine_tune_epochs))
    calibrated = control if recipe.channel_scale is NARROW_NMNIST.channel_scale else workload
    config = config_of(calibrated, first)
    float_accuracy = control.test_baseline
    assert float_accuracy is not None
    accuracy = workload.test(config, seed)
    return {
        "compression": Footprint.of(calibrated.parameters, config.bits).compression,
        "accuracy": 100 * accuracy,
        "change": 100 * (accuracy - float_accuracy),
    }


def config_of(workload: SupervisedWorkload, first: int) -> QuantizationConfig:
    """The fixed widths, in formats of the calibrated ranges."""
    parameters = {}
    for spec in workload.parameters:
        bits = first if spec.name == "conv1.weight" else BITS.get(spec.family, 6)
        fmt = spec.format(min(bits, spec.max_bits), GridKind.MID_RISE if spec.family is Family.WEIGHT else None)
        parameters[spec.name] = ParameterQuantization(fmt, Rounding.NEAREST)
    return QuantizationConfig(Scheme.ITQ, parameters)


def row(name: str, figures: list[dict[str, float]]) -> list[str]:
    """A row of the table."""
    changes = [one["change"] for one in figures]
    error = statistics.stdev(changes) / len(changes) ** 0.5 if len(changes) > 1 else float("nan")
    size = statistics.mean(one["compression"] for one in figures)
    return [name, f"{size:.1f}x", f"{statistics.mean(changes):+.2f}", f"{error:.2f}"]


if __name__ == "__main__":
    main()
