"""How well a few samples tell what a narrow width costs: the drift of class scores beside the Fisher information.

The networks of `sensitivity_prior.py`, with one parameter narrow and all others at their widest. The accuracy that is
lost on 5,000 digits is put beside what 64 samples tell: of how many the class changes; how much of the correlation of
class scores is lost; and, of weights, half of the Fisher information times the squared change of the weights. Widths
that cost half a point or more are told of.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sensitivity_prior import NETWORKS, Bench
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna import Rounding, Scheme
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.significance.report import params_at, searched_widths
from qspinn_optuna.significance.sensitivity import drift
from qspinn_optuna.tables import format_table
from qspinn_optuna.workloads.supervised.training import class_scores
from searching.processes import in_processes

SAMPLES = 64
LEAST = 0.005
"""Loss of accuracy from which on a width is told of."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of MNIST")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--processes", type=positive, default=2, help="networks at once")
    parser.add_argument("--output", type=Path, default=Path("sensitivity-results"), help="folder of trained networks")
    arguments = parser.parse_args()
    for lines in in_processes(partial(lines_of, arguments), arguments.networks, arguments.processes):
        print("\n".join(lines))


def lines_of(arguments: argparse.Namespace, name: str) -> list[str]:
    """What to print of a network."""
    bench = Bench(name, arguments.data_dir, arguments.output, with_floor=True)
    workload, space = bench.workload, bench.space
    reference = workload.scores(None, SAMPLES)
    fisher = fisher_information(workload.baseline_network, next(iter(workload.calibration))[0][:SAMPLES])
    widest = space.config(params_at(space, Scheme.PTQ, Rounding.NEAREST))
    top = workload.accuracy_of(workload.quantize(widest, 0), bench.unseen)
    least = drift(workload.scores(widest, SAMPLES), reference)
    found: list[list[float]] = []
    names: list[str] = []
    for parameter, (low, high) in searched_widths(space).items():
        for width in range(low, high):
            config = space.config(params_at(space, Scheme.PTQ, Rounding.NEAREST, parameter, width))
            network = workload.quantize(config, 0)
            lost = top - workload.accuracy_of(network, bench.unseen)
            if lost < LEAST:
                break
            scores = workload.scores(config, SAMPLES)
            changed = float((scores.argmax(axis=1) != reference.argmax(axis=1)).mean())
            drifted = (drift(scores, reference) - least) / (1 - least)
            found.append([lost, changed, drifted, expected_loss(fisher, workload.baseline_network, network, parameter)])
            names.append(f"{parameter}, {width} bit{'s' * (width > 1)}")
    measured = np.array(found)
    rows = [[name, *(f"{value:.4f}" for value in row)] for name, row in zip(names, measured.tolist(), strict=True)]
    headings = ["parameter", "accuracy", "classes changed", "drift", "Fisher"]
    return [f"\n{name}", format_table(headings, rows), *summary(measured, headings[2:])]


def summary(measured: NDArray[np.float64], names: list[str]) -> list[str]:
    """Rank correlation with what is lost, and the median ratio to it."""
    lines = []
    for column, name in enumerate(names, 1):
        known = np.isfinite(measured[:, column])
        lost, told = measured[known, 0], measured[known, column]
        ratios = told / lost
        low, middle, high = np.quantile(ratios, [0.1, 0.5, 0.9])
        lines.append(
            f"{name}: rank correlation {spearmanr(lost, told).statistic:.2f} over {len(lost)} widths, "
            f"{middle:.2g} times what is lost (tenths: {low:.2g} to {high:.2g})"
        )
    return lines


def fisher_information(network: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """Mean squared gradient of the likelihood of classes that are drawn by the network's own scores, by parameter."""
    totals = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    for one in inputs:
        functional.reset_net(network)
        network.zero_grad()
        scores = class_scores(network, one[None])
        drawn = torch.multinomial(scores.detach().softmax(1), 1, generator=generator)[:, 0]
        nn.functional.cross_entropy(scores, drawn).backward()  # type: ignore[no-untyped-call]
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                totals[name] += parameter.grad**2 / len(inputs)
    functional.reset_net(network)
    return totals


def expected_loss(fisher: dict[str, Tensor], before: nn.Module, after: nn.Module, name: str) -> float:
    """Half of the information times the squared change of a weight; NaN for what is no weight."""
    if name not in fisher:
        return float("nan")
    weights = [value for other, value in after.state_dict().items() if other.startswith(name)]
    change = next(value for value in weights if value.shape == fisher[name].shape) - before.get_parameter(name)
    return float((fisher[name] * change.detach() ** 2).sum() / 2)


if __name__ == "__main__":
    main()
