"""Before a search: is the quantized network the float one, and does every width that is searched change it?"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.networks.calibration.similarity import check_similar
from qspinn_optuna.networks.discovery.reads import check_reads
from qspinn_optuna.networks.entry.inputs import is_input
from qspinn_optuna.networks.entry.reciprocals import is_reciprocal
from qspinn_optuna.networks.quantization import freeze_network, quantize_network
from qspinn_optuna.networks.running.batches import Inputs
from qspinn_optuna.parameters import ParameterSpec


def check_fidelity(network: nn.Module, specs: Iterable[ParameterSpec], inputs: Inputs) -> None:
    """Quantize a network by its widest formats, and refuse it if it is another one then, or does not read them all.

    Example:
        >>> check_fidelity(network, parameters, spikes)

    Args:
        network: The float network; it is left as it is.
        specs: Its calibrated parameters.
        inputs: A batch as the network takes it, which is run twice.

    Raises:
        ValueError: Naming the parameters that are never read, or the first neurons that differ.
    """
    config = widest_config(specs)
    quantized = freeze_network(quantize_network(network, config))
    # The input and its factors belong to no module, and were found where they are used.
    names = [name for name in config.parameters if not is_input(name) and not is_reciprocal(name)]
    check_reads(quantized, names, inputs)
    check_similar(network, quantized, config, inputs)


def widest_config(specs: Iterable[ParameterSpec]) -> QuantizationConfig:
    """Every parameter that has no fixed width as wide as it can be simulated, rounded to nearest."""
    parameters = {
        spec.name: ParameterQuantization(spec.format(spec.max_bits), Rounding.NEAREST)
        for spec in specs
        if spec.fixed_bits is None
    }
    return QuantizationConfig(Scheme.PTQ, parameters)
