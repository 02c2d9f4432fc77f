"""What quantizing a network costs in time: ratios to the float network, measured in turns in one run.

Ratios of medians: of forward passes of the frozen network, and of updates in training (forward, backward and a step of
SGD, after which all weights are put on their grids again).

NOTE: in a young process glibc returns the memory of large gradients to the system at every ``zero_grad``, or not, by
where they happen to lie. Their page faults can be most of what the first rows differ by from run to run;
``--keep-freed`` measures without them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna import ParameterQuantization, QuantizationConfig, Rounding, Scheme
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.networks import calibrate, freeze_network, quantize_network
from qspinn_optuna.tables import format_table
from qspinn_optuna.workloads.supervised import ConvSNN
from qspinn_optuna.workloads.supervised.events import GESTURES, NMNIST

BITS = 4
WIDTH = 2048
STEPS = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--rounds", type=positive, default=15, help="measurements of each kind")
    parser.add_argument("--batch", type=positive, default=32, help="samples of a batch of the convolutional networks")
    parser.add_argument("--threads", type=positive, default=torch.get_num_threads())
    parser.add_argument("--keep-freed", action="store_true", help="let the allocator keep memory that was freed")
    arguments = parser.parse_args()
    if arguments.keep_freed:
        keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    rows = []
    for name, (network, inputs) in shapes(arguments.batch).items():
        for rounding in Rounding:
            quantized = quantize_network(network, uniform(network, inputs, rounding))
            forward = ratio(
                [partial(run_forward, n, inputs) for n in (network, freeze_network(quantized))], arguments.rounds
            )
            update = ratio([updater(n, inputs) for n in (network, quantized)], arguments.rounds)
            rows.append([name, rounding.value, f"{forward:.2f}", f"{update:.2f}"])
    print(format_table(["network", "rounding", "frozen, forward", "update in training"], rows))


def keep_freed_memory() -> None:
    """Let glibc return less memory to the system: its threshold is twice the largest mapped block freed so far."""
    # Blocks of over 32 MiB do not count.
    torch.empty(31 << 20, dtype=torch.uint8)


class EveryStep(nn.Sequential):
    """A loop over time in step mode 's'; inputs are [batch, steps, features]."""

    def forward(self, x: Tensor) -> Tensor:
        """Sum of the outputs over time."""
        outputs = []
        for step in x.unbind(1):
            output = step
            for module in self:
                output = module(output)
            outputs.append(output)
        return torch.stack(outputs).sum(0)


def shapes(batch: int) -> dict[str, tuple[nn.Module, Tensor]]:
    """Networks of several shapes, and inputs for them."""
    torch.manual_seed(0)
    wide = nn.Sequential(layer.Linear(WIDTH, WIDTH), neuron.IFNode(), layer.Linear(WIDTH, WIDTH), neuron.IFNode())
    loop = EveryStep(layer.Linear(WIDTH, WIDTH), neuron.LIFNode(decay_input=False))
    return {
        f"2 layers of {WIDTH}": (wide, _spikes(2, WIDTH)),
        f"{STEPS} steps of {WIDTH}": (loop, _spikes(2, STEPS, WIDTH)),
        "gestures": (
            ConvSNN((1, 32, 32), GESTURES.blocks, 11, decay=GESTURES.decay),
            _spikes(batch, GESTURES.steps, 1, 32, 32),
        ),
        "N-MNIST": (
            ConvSNN((2, 34, 34), NMNIST.blocks, 10, decay=NMNIST.decay),
            _spikes(batch, NMNIST.steps, 2, 34, 34),
        ),
    }


def uniform(network: nn.Module, inputs: Tensor, rounding: Rounding) -> QuantizationConfig:
    """Four bits for everything."""
    parameters = {
        parameter.name: ParameterQuantization(parameter.format(BITS), rounding)
        for parameter in calibrate(network, [inputs])
    }
    return QuantizationConfig(Scheme.PTQ, parameters)


def run_forward(network: nn.Module, inputs: Tensor) -> None:
    """One forward pass from fresh states."""
    functional.reset_net(network)
    with torch.no_grad():
        network(inputs)


def updater(network: nn.Module, inputs: Tensor) -> Callable[[], None]:
    """Runs one forward and backward pass from fresh states, and updates the weights."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)

    def update() -> None:
        functional.reset_net(network)
        optimizer.zero_grad()
        network(inputs).sum().backward()
        optimizer.step()

    return update


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


def _spikes(*shape: int) -> Tensor:
    return (torch.rand(shape) < 0.1).float()


if __name__ == "__main__":
    main()
