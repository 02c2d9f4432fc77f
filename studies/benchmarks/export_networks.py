"""Networks of torch, their integers, and their C, in random configurations: every spike and membrane at every step.

Four kinds of networks: one of convolutions, a residual one, a recurrent loop of single steps, and the STDP network.
Widths up to 8 bits, of the STDP network up to 12, and all roundings. The three computations see the same samples, torch
all of them in one batch; the C is compiled with all warnings as errors.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import torch
from numpy.typing import NDArray

from exporting.torch_networks import KINDS, Case, cases, frames, observe
from qspinn_optuna import IntegerModel, QuantizationSpace, STDPWorkload, capture, freeze_network, quantize_network
from qspinn_optuna.cli.argument_types import positive
from qspinn_optuna.datasets import embedded_mnist
from qspinn_optuna.export import Export
from qspinn_optuna.export.export import sources_of
from qspinn_optuna.export.folder import write_export
from qspinn_optuna.export.kinds import program_of
from qspinn_optuna.integer import Graph, GraphResponses, ValueCoding, classify, encode, respond
from qspinn_optuna.integer.operations import IntegrateAndFire
from qspinn_optuna.workloads.stdp import STDPSettings

STRICT = ("-std=c99", "-O1", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")


def main() -> int:
    """Compare all kinds, and print what was compared.

    Returns:
        The exit code: 1 if anything differs.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", type=positive, default=100, help="of each kind (default: %(default)s)")
    parser.add_argument("--samples", type=positive, default=20, help="of each configuration (default: %(default)s)")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    differences = 0
    for kind in KINDS:
        differences += report(
            kind.__name__,
            (_difference(case, arguments.samples) for case in cases(kind, arguments.configurations)),
        )
    differences += report("STDP", _stdp_differences(arguments.configurations, arguments.samples))
    return 1 if differences else 0


def report(name: str, results: Iterator[int | str]) -> int:
    """Print how many values of a kind were equal, and the differences.

    Args:
        name: Of the kind.
        results: For each configuration the number of values that were compared, or a difference.

    Returns:
        The number of differences.
    """
    values, differences, configurations = 0, 0, 0
    for number, result in enumerate(results):
        configurations += 1
        if isinstance(result, str):
            differences += 1
            print(f"{name}, configuration {number}: {result}", flush=True)
        else:
            values += result
    print(f"{name}: {configurations} configurations, {values:,} values compared, {differences} differences", flush=True)
    return differences


def _difference(case: Case, count: int) -> int | str:
    """The first difference of a configuration, or how many values were equal."""
    network = freeze_network(quantize_network(case.network, case.config)).eval()
    samples = frames(case.network, count, 1)
    model = capture(network, case.config, samples[:, :1])
    assert isinstance(model.coding, ValueCoding)
    codes = encode(model.coding, samples.transpose(0, 1).numpy().astype(np.float64), 0)
    return _between_torch_and_integers(model, network, samples, codes) or _compared_with_c(model, codes)


def _between_torch_and_integers(
    model: IntegerModel, network: torch.nn.Module, samples: torch.Tensor, codes: NDArray[np.integer]
) -> str | None:
    found = respond(model, codes, 0, membranes=True)
    assert isinstance(found, GraphResponses)
    assert isinstance(model.network, Graph)
    neurons = {one.name: one for one in model.network.operations if isinstance(one, IntegrateAndFire)}
    for name, layers in observe(network, samples).items():
        one = neurons[name]
        unit = 2.0**-one.membrane.format.fraction_bits
        for number, layer in enumerate(layers):
            spikes = found.spikes[name][number].reshape(layer.spikes.shape)
            membranes = found.membranes[one.membrane_name][number].reshape(layer.membranes.shape)
            if not (spikes == layer.spikes).all() or not (membranes * unit == layer.membranes).all():
                return f"{name} differs between torch and the integers, sample {number}"
    return None


def _compared_with_c(model: IntegerModel, codes: NDArray[np.integer]) -> int | str:
    flat = codes.reshape(len(codes), -1)
    with tempfile.TemporaryDirectory() as folder:
        write_export(Path(folder), model, sources_of(program_of(model), model, "snn", flat[:1]))
        try:
            return Export(Path(folder), model, "snn").verify(flat, 0, flags=STRICT).values
        except Exception as error:
            # Whatever it is, it is told, and the other configurations go on.
            return f"C: {error}"


def _stdp_differences(count: int, samples: int) -> Iterator[int | str]:
    data = embedded_mnist().with_train_size(300)
    workload = STDPWorkload(data, STDPSettings(neurons=37))
    widths = {parameter.name: (1 if parameter.name == "weight" else 2, 12) for parameter in workload.parameters}
    space = QuantizationSpace(workload.parameters, bits=widths, rounding_per_family=True)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(count):
        config = space.suggest(study.ask())
        model = workload.integer_model(config)
        accuracy = float((classify(model, data.test.images) == data.test.labels).mean())
        expected = workload.test(config, 0)
        if accuracy != expected:
            yield f"an accuracy of {accuracy} of the integers, {expected} of the simulation"
        else:
            yield _compared_with_c(model, data.test.images[:samples])


if __name__ == "__main__":
    sys.exit(main())
