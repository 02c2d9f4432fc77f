"""Numbers that are neither quantized nor counted: buffers, properties, and those in neurons of the user's."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from torch import nn

from qspinn_optuna.networks.discovery.own_constants import uncounted_constants
from qspinn_optuna.networks.entry.inputs import INPUT, is_input
from qspinn_optuna.networks.entry.preparation import preparing_buffers, told
from qspinn_optuna.networks.modules.coefficients import coefficients, computed_coefficients
from qspinn_optuna.networks.modules.support import has_states
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.running.batches import Inputs
from qspinn_optuna.networks.running.reach import Reach
from qspinn_optuna.parameters import ParameterSpec


def warn_of_buffers(network: nn.Module, reach: Reach, inputs: Inputs, specs: Sequence[ParameterSpec]) -> None:
    """Tell of floating-point buffers, which a device may have to store."""
    counted = {
        join(name, coefficient.attribute)
        for name, module in network.named_modules()
        if has_states(module)
        for coefficient in coefficients(module)
    }
    names = [
        name
        for name, buffer in network.named_buffers()
        if buffer.is_floating_point() and name not in counted and not _is_left_out(network, name, reach)
    ]
    rounded = [spec.name.rpartition(".")[0] for spec in specs if is_input(spec.name) and spec.name != INPUT]
    prepared = preparing_buffers(network, inputs, names, rounded)
    if prepared:
        warnings.warn(told(prepared), stacklevel=3)
    others = [name for name in names if name not in prepared]
    if others:
        warnings.warn(
            f"The buffers {others} are neither quantized nor counted: if a device has to store them, make them "
            "parameters, or states of a MemoryModule.",
            stacklevel=3,
        )


def warn_of_computed_coefficients(network: nn.Module) -> None:
    """Tell of thresholds and decays that properties compute."""
    computed = [
        join(name, own)
        for name, module in network.named_modules()
        if has_states(module)
        for own in computed_coefficients(module)
    ]
    if computed:
        warnings.warn(
            f"Properties compute {computed}, which are neither quantized nor counted: the neurons run their own steps "
            "in floating point. Make them attributes to have them in fixed point.",
            stacklevel=3,
        )


def _is_left_out(network: nn.Module, buffer: str, reach: Reach) -> bool:
    """Whether a buffer is of a module with parameters that no sample reaches, of which another warning tells."""
    owner = buffer.rpartition(".")[0]
    return not reach.reaches(owner) and any(True for _ in network.get_submodule(owner).parameters())


def warn_of_own_constants(network: nn.Module, inputs: Inputs) -> None:
    """Tell of numbers that steps of the user's compute with."""
    names = uncounted_constants(network, inputs)
    if names:
        warnings.warn(
            f"The numbers {names} that neurons of your own compute with are neither quantized nor counted: if a device "
            "has to store them, name them in decay_names of the class, or make them parameters.",
            stacklevel=3,
        )
