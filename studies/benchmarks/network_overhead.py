"""What quantizing a network costs in time: ratios to the float network, measured in turns in one run.

Ratios of medians of forward passes, and of forward and backward passes, of the networks of the event studies.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna import ParameterQuantization, QuantizationConfig, Rounding, Scheme
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.cli.tables import format_table
from qspinn_optuna.networks import calibrate, quantize_network
from qspinn_optuna.workloads.supervised import ConvSNN
from qspinn_optuna.workloads.supervised.events import GESTURES, NMNIST

FRAMES = {"gestures": (GESTURES, (1, 32, 32), 11), "N-MNIST": (NMNIST, (2, 34, 34), 10)}
BITS = 4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--rounds", type=positive, default=15, help="measurements of each kind")
    parser.add_argument("--batch", type=positive, default=20, help="samples of a batch")
    parser.add_argument("--threads", type=positive, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for name, (recipe, shape, classes) in FRAMES.items():
        network = ConvSNN(shape, recipe.blocks, classes, decay=recipe.decay)
        frames = (torch.rand(arguments.batch, recipe.steps, *shape) < 0.1).float()
        for rounding in Rounding:
            quantized = quantize_network(network, uniform(network, frames, rounding))
            pair = (network, quantized)
            forward = ratio([partial(run_forward, n, frames) for n in pair], arguments.rounds)
            both = ratio([partial(run_both, n, frames) for n in pair], arguments.rounds)
            rows.append([name, rounding.value, f"{forward:.2f}", f"{both:.2f}"])
    print(format_table(["network", "rounding", "forward", "forward and backward"], rows))


def uniform(network: nn.Module, frames: Tensor, rounding: Rounding) -> QuantizationConfig:
    """Four bits for everything."""
    parameters = {
        parameter.name: ParameterQuantization(parameter.format(BITS), rounding)
        for parameter in calibrate(network, [frames])
    }
    return QuantizationConfig(Scheme.PTQ, parameters)


def run_forward(network: nn.Module, frames: Tensor) -> None:
    """One forward pass from fresh states."""
    functional.reset_net(network)
    with torch.no_grad():
        network(frames)


def run_both(network: nn.Module, frames: Tensor) -> None:
    """One forward and backward pass from fresh states."""
    functional.reset_net(network)
    network(frames).square().sum().backward()


def ratio(tasks: list[Callable[[], None]], rounds: int) -> float:
    """Median time of the second task by that of the first, taken in turns."""
    seconds: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        for times, task in zip(seconds, tasks, strict=True):
            start = time.perf_counter()
            task()
            if number > 0:
                times.append(time.perf_counter() - start)
    first, second = map(statistics.median, seconds)
    return second / first


if __name__ == "__main__":
    main()
