"""Neurons that take decimals: sums that ``forward`` multiplies by 0.3, say, or shifts by 0.1, which no grid holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.fixed_point.qformat import MAX_BITS
from qspinn_optuna.networks.entry.inputs import DIGITS_OF_SUMS, INPUT, digits
from qspinn_optuna.networks.entry.rounded_inputs import takes_rounded_input
from qspinn_optuna.networks.modules.support import SYNAPSES, has_states
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.quantization import freeze_network, quantize_network
from qspinn_optuna.networks.running.batches import Inputs, mapped
from qspinn_optuna.networks.running.nested import is_of_vmap
from qspinn_optuna.networks.running.precision import run_in_double
from qspinn_optuna.networks.running.randomness import same_draws
from qspinn_optuna.networks.running.watching import fresh_copy
from qspinn_optuna.parameters import Family, ParameterSpec

_NARROW = 4
_MOST_DIGITS = 20
"""Digits of narrow sums above which they were multiplied by decimals: wherever float32, of 24 digits, carries sums of
parameters of 8 bits, it has 4 digits left for those of 4 bits."""

_ADDED_UP = frozenset({Family.WEIGHT, Family.BIAS, Family.SCALE, Family.INPUT})
"""Families whose digits go on to the neurons behind; those of states and their coefficients end in spikes."""


def neurons_that_take_decimals(network: nn.Module, specs: Sequence[ParameterSpec], inputs: Inputs) -> tuple[str, ...]:
    """Names of the neurons, and filters, in whose inputs there are more digits than grids leave there.

    The network is run in float64 with parameters, and inputs, of a few digits. Sums of grid values have few digits then
    (biases, residual additions, shortcuts of membranes), those times 0.3 have all that float64 holds. If neurons take
    zeros alone, since those before them do not fire in narrow formats, it is run with the widest ones, too.

    Args:
        network: Float, calibrated.
        specs: Its parameters, factors of averages included: averages are no decimals.
        inputs: Some samples.
    """
    names = [
        name
        for name, module in network.named_modules()
        if has_states(module) and takes_rounded_input(module) and not isinstance(module, SYNAPSES)
    ]
    coarse = mapped(inputs, partial(_coarse, bits=_NARROW))
    found = _digits_taken(network, _config(specs, _NARROW), names, coarse)
    decimals = {name for name, most in found.items() if most > _MOST_DIGITS}
    if not all(found.values()):
        wide = _digits_taken(network, _config(specs, MAX_BITS), names, inputs)
        decimals |= {name for name, most in wide.items() if most > DIGITS_OF_SUMS}
    return tuple(name for name in names if name in decimals)


def _digits_taken(
    network: nn.Module, config: QuantizationConfig, names: Sequence[str], inputs: Inputs
) -> dict[str, int]:
    """Most digits of what neurons take, if it is not rounded, by the names of those that run."""
    quantized = fresh_copy(freeze_network(quantize_network(network, config))).eval()
    found: dict[str, int] = {}

    def listen(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_: nn.Module, taken: tuple[Any, ...]) -> None:
            value = taken[0] if taken else None
            if not isinstance(value, Tensor) or not value.is_floating_point() or is_of_vmap(value):
                return
            if bool(value.isfinite().all()):
                found[name] = max(found.get(name, 0), digits(value))

        return hook

    for name in names:
        if join(name, INPUT) not in config.parameters:
            quantized.get_submodule(name).register_forward_pre_hook(listen(name))
    with same_draws():
        run_in_double(quantized, inputs)
    return found


def _config(specs: Sequence[ParameterSpec], bits: int) -> QuantizationConfig:
    """What is added up in formats of at most ``bits``, and states in their widest ones, so that neurons fire."""
    parameters = {
        spec.name: ParameterQuantization(
            spec.format(min(spec.max_bits, bits) if spec.family in _ADDED_UP else spec.max_bits), Rounding.NEAREST
        )
        for spec in specs
        if spec.fixed_bits is None
    }
    return QuantizationConfig(Scheme.PTQ, parameters)


def _coarse(values: Tensor, bits: int) -> Tensor:
    """Values with the first ``bits`` digits of the largest alone, towards 0, so that they stay within their range."""
    if not values.is_floating_point() or values.numel() == 0:
        return values
    step = 2.0 ** (int(torch.frexp(values.abs().max())[1]) - bits)
    return (values / step).trunc() * step
