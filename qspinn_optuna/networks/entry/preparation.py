"""Buffers with which a network prepares its input, such as a mean and a standard deviation."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import nn

from qspinn_optuna.networks.entry.contributions import contributions_of_buffers
from qspinn_optuna.networks.entry.inputs import INPUT
from qspinn_optuna.networks.modules.support import SYNAPSES
from qspinn_optuna.networks.running.batches import Inputs


def preparing_buffers(
    network: nn.Module, inputs: Inputs, buffers: Collection[str], rounded: Collection[str]
) -> dict[str, list[str]]:
    """Buffers that reach nothing but inputs of layers and neurons that are rounded, and made of the network's input.

    The device gets such inputs ready made, so that what made them is no part of the fixed-point network.

    Args:
        network: A float network.
        inputs: A few samples.
        buffers: Names of the floating-point buffers in question.
        rounded: Layers and neurons whose input is rounded.

    Returns:
        The layers and neurons that take what they prepare, by the names of the buffers.
    """
    if not buffers or not rounded:
        return {}
    found = contributions_of_buffers(network, inputs, buffers, rounded)
    synapses = {name for name, module in network.named_modules() if isinstance(module, SYNAPSES)}
    takers = {buffer: sorted(name for name, names in found.items() if buffer in names) for buffer in buffers}
    return {
        buffer: names
        for buffer, names in takers.items()
        if names and all(name in rounded and _is_prepared(found[name], synapses) for name in names)
    }


def _is_prepared(sources: Collection[str], synapses: Collection[str]) -> bool:
    """Whether a sum is made of the input of the network, and of no layer."""
    return INPUT in sources and not any(source in synapses for source in sources)


def told(prepared: Mapping[str, list[str]]) -> str:
    """What users should know of such buffers."""
    takers = sorted({name for names in prepared.values() for name in names})
    inputs = [f"{name}.{INPUT}" for name in takers]
    return (
        f"The buffers {sorted(prepared)} prepare the input in floating point, of which {inputs} are rounded, and are "
        "not counted: the device has to get the prepared values."
    )
