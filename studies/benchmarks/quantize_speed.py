"""How long rounding to nearest takes, beside torch's own fake quantization.

Both put the same random float32 numbers on the same grid of 8 bits, saturating at the same ends: `quantize(x, fmt,
Rounding.NEAREST)` and `torch.fake_quantize_per_tensor_affine`, forward alone and forward with backward, with one thread
and with all. The calls take turns, so that a busy machine slows both; the medians are printed, with their ratio
(below 1 is faster than torch; the goal is at most 1.5 for forward alone).

The two differ at ties: torch's kernel rounds with `nearbyint`, which sends a tie to the even neighbour as IEEE 754
does by default, while `quantize` sends it up, as hardware does that adds half a step and drops bits. `quantize` also
refuses NaN and infinities, which costs a pass over the values and is timed with it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from qspinn_optuna.fixed_point import QFormat, Rounding, quantize

FMT = QFormat(1, 6)

Quantizer = Callable[[Tensor], Tensor]


def ours(x: Tensor) -> Tensor:
    """Nearest, ties up."""
    return quantize(x, FMT, Rounding.NEAREST)


def torchs(x: Tensor) -> Tensor:
    """Nearest, ties to even."""
    return torch.fake_quantize_per_tensor_affine(x, FMT.resolution, 0, FMT.min_code, FMT.max_code)


def with_backward(quantizer: Quantizer) -> Quantizer:
    """The quantizer followed by its gradient, for an incoming gradient of ones."""

    def forward_and_backward(x: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(quantizer(x), x, torch.ones_like(x))
        return gradient

    return forward_and_backward


def median_seconds(x: Tensor, quantizers: list[Quantizer], repeats: int) -> list[float]:
    """Median time of each quantizer on ``x``, the quantizers taking turns after one unmeasured round."""
    seconds: list[list[float]] = [[] for _ in quantizers]
    for _ in range(repeats + 1):
        for times, quantizer in zip(seconds, quantizers, strict=True):
            start = time.perf_counter()
            quantizer(x)
            times.append(time.perf_counter() - start)
    return [statistics.median(times[1:]) for times in seconds]


def main() -> None:
    """Print one row per pass and number of threads."""
    parser = argparse.ArgumentParser(description="Time quantize beside torch.fake_quantize_per_tensor_affine.")
    parser.add_argument("--elements", type=int, default=10_000_000, help="numbers to quantize (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=15, help="measured calls of each (default: %(default)s)")
    arguments = parser.parse_args()

    x = torch.randn(arguments.elements, generator=torch.Generator().manual_seed(0))
    all_threads = torch.get_num_threads()
    print(f"{arguments.elements:,} float32 numbers to {FMT}, median of {arguments.repeats} calls")
    print(f"{'threads':>7}  {'pass':<18}  {'quantize':>11}  {'torch':>11}  {'ratio':>5}")
    for threads in sorted({1, all_threads}):
        torch.set_num_threads(threads)
        rows = {
            "forward": median_seconds(x, [ours, torchs], arguments.repeats),
            "forward + backward": median_seconds(
                x.clone().requires_grad_(), [with_backward(ours), with_backward(torchs)], arguments.repeats
            ),
        }
        for name, (mine, reference) in rows.items():
            print(
                f"{threads:>7}  {name:<18}  {mine * 1e3:>8.1f} ms  {reference * 1e3:>8.1f} ms  {mine / reference:>5.2f}"
            )


if __name__ == "__main__":
    main()
