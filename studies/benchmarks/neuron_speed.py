"""What the kernels of neurons bring: a sequence of steps, forward and backward, against the same steps by torch.

Ratios of medians, measured in turns in one run: the torch operations are those that the package itself takes for layers
that the kernels do not serve. Spikes and gradients of both are compared first.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from spikingjelly.activation_based import surrogate
from torch import Tensor

from qspinn_optuna import QFormat, Rounding
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.networks.modules import sequence_kernel
from qspinn_optuna.networks.modules.integrate_and_fire import IntegrateAndFire, integrate_and_fire
from qspinn_optuna.tables import format_table

LAYERS = {
    "one step of 64 neurons, 20 samples": (1, 20, 64),
    "one step of 128 neurons, 125 samples": (1, 125, 128),
    "28 steps of 64 neurons, 50 samples": (28, 50, 64),
    "16 steps of 8 x 16 x 16 neurons, 22 samples": (16, 22, 8, 16, 16),
    "10 steps of 16 x 34 x 34 neurons, 20 samples": (10, 20, 16, 34, 34),
}
"""Steps, samples and neurons of layers, by their description."""

NEURONS = IntegrateAndFire(
    QFormat(1, 4), Rounding.NEAREST, 1.0, reset=0.0, leaky=True, decay_input=False, detach_reset=True
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=positive, default=25, help="measurements of each kind")
    parser.add_argument("--threads", type=positive, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [[name, *measured(shape, arguments.rounds)] for name, shape in LAYERS.items()]
    print(format_table(["layer", "torch", "kernels", "times as fast"], rows))


def measured(shape: tuple[int, ...], rounds: int) -> list[str]:
    """Milliseconds of both, and their ratio."""
    x_seq = 2 * torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with torch_alone():
        expected = trained(x_seq)
    for ours, theirs in zip(trained(x_seq), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    by_torch, by_kernels = [], []
    for _ in range(rounds):
        with torch_alone():
            by_torch.append(seconds(x_seq))
        by_kernels.append(seconds(x_seq))
    one, other = statistics.median(by_torch), statistics.median(by_kernels)
    return [f"{1000 * one:.2f} ms", f"{1000 * other:.2f} ms", f"{one / other:.1f}"]


@contextmanager
def torch_alone() -> Iterator[None]:
    """A context without the kernels."""
    with patch.object(sequence_kernel, "serves", return_value=False):
        yield


def seconds(x_seq: Tensor) -> float:
    """Wall time of a sequence forward and backward."""
    start = time.perf_counter()
    trained(x_seq)
    return time.perf_counter() - start


def trained(x_seq: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes of a sequence, and the gradient of their sum."""
    inputs = x_seq.clone().requires_grad_()
    spikes, _ = integrate_and_fire(inputs, torch.zeros(x_seq.shape[1:]), torch.tensor(0.5), NEURONS, surrogate.ATan())
    spikes.backward(torch.ones_like(spikes))  # type: ignore[no-untyped-call]
    assert inputs.grad is not None
    return spikes.detach(), inputs.grad


if __name__ == "__main__":
    main()
