"""Samples classified a second by exported C on this machine, beside the simulation: one core each, in turns.

1. A graph of the sizes of a convolutional network for N-MNIST, beside the same network in PyTorch: in floating point,
   not quantized, in batches of 20 and without gradients. Its membranes are not rounded, so that its spikes are nearly
   those of the C, not quite.
2. An STDP network of 400 neurons, trained on digits, beside the kernel that numba compiles: both with input coding.
   The C is that of a microcontroller and, as ``unpacked``, that of a computer. Numba compiles for the very processor,
   as -march=native does.

Medians of processor time are printed, and the ratio in each turn: its median, smallest and largest.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from export_check import trained_models
from numpy.typing import NDArray
from spikingjelly.activation_based import functional
from torch import Tensor

from exporting.event_graph import FILTERS, POLARITIES, SIDE, event_frames, event_graph
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import embedded_mnist
from qspinn_optuna.export import tools
from qspinn_optuna.export.export import sources_of
from qspinn_optuna.export.kinds import program_of
from qspinn_optuna.export.templates import with_prefix
from qspinn_optuna.export.vectors import check_samples
from qspinn_optuna.integer import Graph, IntegerModel, RateCoding, WinnerTakeAll, classify
from qspinn_optuna.workloads.stdp import encode_images
from qspinn_optuna.workloads.stdp.responses import count_spikes
from qspinn_optuna.workloads.supervised.conv import ConvBlock, ConvSNN

STEPS = 10
BATCH = 20
RATE = 0.25
"""Chance of a spike of the brightest pixel, as the digits are trained with."""

Timed = Callable[[], float]
"""Seconds that all samples take."""

Ways = dict[str, tuple[str, ...]]
"""Ways to compile: their flags by name."""

OPTIMIZED: Ways = {"-O2": ("-O2",), "-O3": ("-O3",)}
NATIVE: Ways = {"-O3 native": ("-O3", "-march=native")}
UNPACKED: Ways = {f"unpacked {name}": (*flags, "-DSNN_UNPACKED") for name, flags in {**OPTIMIZED, **NATIVE}.items()}


class CompiledModel:
    """A model's C, compiled for this machine, and samples for it.

    Args:
        model: The model.
        samples: The samples.
        folder: Where to build.
        flags: How to optimize.
    """

    def __init__(self, model: IntegerModel, samples: NDArray[np.integer], folder: Path, flags: Sequence[str]) -> None:
        self.folder, self.count = folder / "".join(flags), len(samples)
        self.folder.mkdir()
        program = program_of(model)
        checked = check_samples(program, samples)
        sources = sources_of(program, model, "snn", checked[:1])
        timing = Path(__file__).with_name("exporting") / "timing.c"
        for name in ("model.c", "model.h"):
            (self.folder / name).write_text(sources[name])
        (self.folder / "timing.c").write_text(with_prefix(timing.read_text(), "snn"))
        (self.folder / "samples").write_bytes(checked.tobytes())
        compiler = tools.host_compiler()
        tools.run([compiler, "-std=c99", *flags, "model.c", "timing.c", "-o", "timing"], self.folder, 120)

    def run(self) -> tuple[float, list[int]]:
        """Seconds, and the classes."""
        said = tools.run([self.folder / "timing", "samples", str(self.count)], self.folder, 600).split()
        return float(said[0]), [int(word) for word in said[1:]]


def seconds(work: Callable[[], object]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def numba_of(model: IntegerModel, images: NDArray[np.uint8]) -> Timed:
    """The kernel, with its coding."""
    layer, coding = model.network, model.coding
    assert isinstance(layer, WinnerTakeAll)
    assert isinstance(coding, RateCoding)
    kept = np.ascontiguousarray(images[:, coding.kept])

    def work() -> None:
        count_spikes(layer, encode_images(kept, model.coding.steps, RATE, model.seed), model.seed)

    work()
    return lambda: seconds(work)


def torch_of(model: IntegerModel, frames: NDArray[np.uint8]) -> Timed:
    """The network in PyTorch."""
    graph = model.network
    assert isinstance(graph, Graph)
    blocks = tuple(ConvBlock(filters, 3, pool=2) for filters in FILTERS)
    network = ConvSNN((POLARITIES, SIDE, SIDE), blocks, model.classes).eval()
    values = {name: codes.array * 2.0**-codes.format.fraction_bits for name, codes in graph.codes.items()}
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.as_tensor(values[name]))
    for k in range(1, len(FILTERS) + 1):
        getattr(network, f"lif{k}").v_threshold = float(values[f"lif{k}.v_threshold"][0])
    batches = torch.split(torch.as_tensor(frames, dtype=torch.float32), BATCH)

    @torch.no_grad()
    def answer(batch: Tensor) -> Tensor:
        functional.reset_net(network)
        scores: Tensor = network(batch)
        return scores.argmax(1)

    def work() -> None:
        for batch in batches:
            answer(batch)

    work()
    return lambda: seconds(work)


def compare(
    name: str,
    model: IntegerModel,
    samples: NDArray[np.uint8],
    other: tuple[str, Timed],
    ways: Ways,
    repeats: int,
) -> None:
    """Print the speeds of the C and of something else, which take turns."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = {way: CompiledModel(model, samples, Path(folder), flags) for way, flags in ways.items()}
        expected = classify(model, samples[:BATCH]).tolist()
        times: dict[str, list[float]] = {}
        for _ in range(repeats):
            for way, program in compiled.items():
                taken, answers = program.run()
                if answers[:BATCH] != expected:
                    raise RuntimeError(f"classes of {name} must be {expected}, got {answers[:BATCH]}.")
                times.setdefault(f"C {way}", []).append(taken)
            times.setdefault(other[0], []).append(other[1]())
    print(name)
    for way, measured in times.items():
        rate = len(samples) / statistics.median(measured)
        ratios = [reference / taken for reference, taken in zip(times[other[0]], measured, strict=True)]
        spread = f"({min(ratios):.2f} - {max(ratios):.2f})"
        print(f"  {way:<21} {rate:>8,.0f} samples/s  {statistics.median(ratios):.2f}x {spread}", flush=True)


def main() -> None:
    """Print the speeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=positive, default=1_000, help="digits a turn (1000)")
    parser.add_argument("--frames", type=positive, default=200, help="samples of events a turn (200)")
    parser.add_argument("--repeats", type=positive, default=5, help="turns (5)")
    parser.add_argument("--without-training", action="store_true", help="leave the STDP network out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, frames = event_graph(STEPS), event_frames(arguments.frames, STEPS)
    compare(
        f"graph for events, {STEPS} steps",
        model,
        frames,
        ("PyTorch", torch_of(model, frames)),
        OPTIMIZED,
        arguments.repeats,
    )
    if arguments.without_training:
        return
    data = embedded_mnist()
    images = data.test.images[: arguments.images]
    for rounding, model in trained_models(data).items():
        numba = ("numba", numba_of(model, images))
        name = f"STDP network, {model.coding.steps} steps, {rounding}"
        compare(name, model, images, numba, {**OPTIMIZED, **NATIVE, **UNPACKED}, arguments.repeats)


if __name__ == "__main__":
    main()
