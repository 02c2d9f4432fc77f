"""C that is exported, against the interpreter of integer models.

1. Random models of all formats, roundings and sizes, STDP networks and graphs: every spike and membrane at every step,
   compiled with all warnings as errors and, every tenth, with the address and undefined-behaviour sanitizers.
2. Mutants: C with one mistake each. Each must be found by a few random models.
3. A graph of the sizes of a convolutional network for N-MNIST: its sizes beside its footprint, and instructions a
   sample on emulated Cortex-M3, M4 and M7.
4. An STDP network of 400 neurons, trained on digits: its sizes beside its footprint, instructions a step on an
   emulated Cortex-M3, and the same classes on M0, M3, M4 and M7.

What needs a program that is not installed is left out, and says so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporting.event_graph import event_frames, event_graph
from exporting.graph_mutants import GRAPH_MUTANTS
from exporting.mutants import MUTANTS, UNPACKED_MUTANTS, AnyMutant
from exporting.random_graphs import random_graph, random_values
from exporting.random_models import random_model, random_samples
from qspinn_optuna import QuantizationConfig, Rounding, Scheme, STDPWorkload
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import ImageSplits, embedded_mnist
from qspinn_optuna.export import Core, DifferenceError, Export, ToolError, export_c
from qspinn_optuna.export.export import sources_of
from qspinn_optuna.export.folder import write_export
from qspinn_optuna.export.kinds import program_of
from qspinn_optuna.export.vectors import check_samples
from qspinn_optuna.export.verification import FLAGS
from qspinn_optuna.integer import IntegerModel, WinnerTakeAll, classify
from qspinn_optuna.workloads.stdp.mnist import mnist_settings, search_space

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O1")
SANITIZED = (*STRICT, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SAMPLES = 20
WIDTHS = {"weight": 1, "membrane": 9}


class Kind(NamedTuple):
    """A kind of network that is checked.

    Args:
        name: Of the kind.
        model: The random model with a number.
        samples: Random samples for a model: how many, and from what seed.
        mutants: Mistakes in its C.
        tried: Random models that a mutant may need.
        unpacked: Whether the code of a computer is compiled, not that of a microcontroller.
    """

    name: str
    model: Callable[[int], IntegerModel]
    samples: Callable[[IntegerModel, int, int], NDArray[np.integer]]
    mutants: tuple[AnyMutant, ...]
    tried: int
    unpacked: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """Of the compiler."""
        return ("-DSNN_UNPACKED",) if self.unpacked else ()


KINDS = (
    Kind("STDP networks", random_model, random_samples, MUTANTS, 60),
    Kind("STDP networks, unpacked", random_model, random_samples, UNPACKED_MUTANTS, 60, unpacked=True),
    Kind("graphs", random_graph, random_values, GRAPH_MUTANTS, 200),
)


def write(model: IntegerModel, folder: Path, samples: NDArray[np.integer]) -> Export:
    """An export without its report, which takes longer than the rest."""
    program = program_of(model)
    write_export(folder, model, sources_of(program, model, "snn", check_samples(program, samples)))
    return Export(folder, model, "snn")


def check_models(kind: Kind, count: int) -> int:
    """Compare random models; gives the number of values that were compared."""
    values = 0
    for seed in range(count):
        model = kind.model(seed)
        samples = kind.samples(model, SAMPLES, seed)
        with tempfile.TemporaryDirectory() as name:
            export = write(model, Path(name), samples[:1])
            flags = SANITIZED if seed % 10 == 0 else STRICT
            values += export.verify(samples, flags=(*flags, *kind.flags)).values
    return values


def find(kind: Kind, mutant: AnyMutant) -> str | None:
    """The first difference that a random model shows; None if none does. C that does not compile is no mutant."""
    for seed in range(kind.tried):
        model = kind.model(seed)
        samples = kind.samples(model, SAMPLES, seed)
        with tempfile.TemporaryDirectory() as name:
            export = write(model, Path(name), samples[:1])
            source = export.folder / "model.c"
            wrong = mutant.apply(source.read_text())
            if wrong is None:
                continue
            source.write_text(wrong)
            try:
                export.verify(samples, flags=(*FLAGS, *kind.flags))
            except DifferenceError as error:
                return f"model {seed}: {error}"
            except ToolError as error:
                # It reads where it should not.
                if "failed with status -" not in str(error):
                    raise
                return f"model {seed}: stopped by the system"
    return None


def check_mutants(kind: Kind) -> list[str]:
    """Print what finds each mutant; gives the names of those that nothing does."""
    missed = []
    for mutant in kind.mutants:
        found = find(kind, mutant)
        print(f"  {mutant.name}: {found or 'NOT FOUND'}", flush=True)
        if found is None:
            missed.append(mutant.name)
    return missed


def trained_models(data: ImageSplits) -> dict[str, IntegerModel]:
    """An STDP network with weights of 1 bit, in two roundings of its membranes."""
    workload = STDPWorkload(data, mnist_settings(len(data.train)), seed=0)
    space = search_space(workload)
    models = {}
    for rounding in (Rounding.NEAREST, Rounding.STOCHASTIC):
        others = space.uniform(8, Scheme.PTQ, rounding).parameters
        own = {name: space.uniform(WIDTHS.get(name, 8), Scheme.PTQ, rounding)[name] for name in others}
        models[rounding.value] = workload.integer_model(QuantizationConfig(Scheme.PTQ, own))
    return models


def print_report(export: Export) -> None:
    """The totals of an export's report."""
    for line in (export.folder / "REPORT.md").read_text().splitlines():
        if line.startswith("| **") or "footprint counts takes" in line or line.startswith("Instructions"):
            print(f"  {line}", flush=True)


def print_cores(export: Export, cores: Iterable[Core]) -> None:
    """Whether processors compute the same, and in how many instructions."""
    for core in cores:
        try:
            mean = export.emulate(core).mean
            count = "more than can be counted" if mean is None else f"{mean:,.0f}"
            print(f"  Cortex-{core.name}: all vectors right, {count} instructions a sample", flush=True)
        except ToolError as error:
            print(f"  Cortex-{core.name}: {str(error)[-200:]}", flush=True)


def check_event_graph() -> None:
    """Print what a convolutional network for N-MNIST takes."""
    for steps in (10, 20):
        model, frames = event_graph(steps), event_frames(8, steps)
        print(f"\nGraph for events, {steps} steps")
        with tempfile.TemporaryDirectory() as name:
            export = export_c(model, Path(name) / "export", samples=frames[:3])
            done = export.verify(frames)
            print(f"  {done.samples} samples, {done.values:,} spikes, membranes and scores equal")
            print_report(export)
            # A Cortex-M0 of QEMU's board has too little memory for it.
            print_cores(export, (Core.M3, Core.M4, Core.M7))


def check_trained(data: ImageSplits, count: int) -> None:
    """Print what the trained network takes."""
    for rounding, model in trained_models(data).items():
        assert isinstance(model.network, WinnerTakeAll)
        print(f"\nSTDP, {model.network.inputs} inputs, {model.network.neurons} neurons, {rounding}")
        with tempfile.TemporaryDirectory() as name:
            images = data.test.images[:count]
            export = export_c(model, Path(name) / "export", samples=images[:12])
            done = export.verify(images)
            accuracy = (classify(model, images) == data.test.labels[:count]).mean()
            print(f"  {done.samples} images, {done.values:,} spikes and membranes equal; accuracy {accuracy:.3f}")
            print_report(export)
            print_cores(export, Core)


def main() -> int:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=positive, default=100, help="random models of each kind (100)")
    parser.add_argument("--images", type=positive, default=100, help="images for the trained network (100)")
    parser.add_argument("--without-mutants", action="store_true", help="leave the mutants out")
    parser.add_argument("--without-training", action="store_true", help="leave the trained network out")
    arguments = parser.parse_args()
    missed = []
    for kind in KINDS:
        values = check_models(kind, arguments.models)
        print(f"{arguments.models} random {kind.name}: {values:,} spikes and membranes equal", flush=True)
        if not arguments.without_mutants:
            unseen = check_mutants(kind)
            print(f"{len(kind.mutants) - len(unseen)} of {len(kind.mutants)} mutants of {kind.name} found", flush=True)
            missed += unseen
    check_event_graph()
    if not arguments.without_training:
        check_trained(embedded_mnist(), arguments.images)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
