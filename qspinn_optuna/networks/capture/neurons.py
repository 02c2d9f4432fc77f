"""Neurons of a quantized network as an operation."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from qspinn_optuna.fixed_point import ParameterQuantization
from qspinn_optuna.fixed_point.draws import layer_key
from qspinn_optuna.integer import operations
from qspinn_optuna.networks.capture.constants import Constants
from qspinn_optuna.networks.capture.kinds import unnamed
from qspinn_optuna.networks.capture.symbols import Shape, stripped
from qspinn_optuna.networks.constants import constant
from qspinn_optuna.networks.integrate_and_fire import never_fires
from qspinn_optuna.networks.watching import join


def integrate_and_fire(
    name: str, module: Any, shape: Shape, membrane: ParameterQuantization, constants: Constants
) -> operations.Operation:
    """The operation of IF or LIF neurons.

    Args:
        name: Of the neurons.
        module: The neurons, with the values of a frozen network.
        shape: Of what they take at a step.
        membrane: Format and rounding of their membranes.
        constants: Is given their thresholds and decays.
    """
    quantization = module._quantization
    source = quantization.draws["v"]
    decay = quantization.decays.get("decay")
    fraction_bits = membrane.format.fraction_bits
    thresholds = constant(module.v_threshold)
    assert thresholds is not None
    never = thresholds.numel() == 1 and never_fires(float(thresholds))
    return unnamed(
        operations.IntegrateAndFire,
        1,
        membrane=membrane,
        threshold=None if never else constants.parameter(join(name, "threshold"), _broadcast(thresholds, shape)),
        decay=None if decay is None else constants.parameter(join(name, "decay"), _broadcast(decay, shape)),
        decays_input=decay is not None and bool(getattr(module, "decay_input", False)),
        reset=None if module.v_reset is None else int(float(module.v_reset) * 2.0**fraction_bits),
        start=int(float(module._memories_rv["v"]) * 2.0**fraction_bits),
        key=layer_key(source.seed, source.name),
        membrane_name=join(name, "v"),
    )


def _broadcast(values: Tensor, shape: Shape) -> Tensor:
    """A threshold or decay of all neurons, [1], or several in a shape that broadcasts to theirs."""
    return values.reshape((1,) if values.numel() == 1 else stripped(tuple(values.shape))[-len(shape) :])
