"""Record which attributes of a network's modules a forward pass reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from qspinn_optuna.networks.modules.coefficients import coefficients
from qspinn_optuna.networks.modules.support import has_states
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.running.batches import Inputs
from qspinn_optuna.networks.running.watching import run, watched

Attributes = Mapping[str, Mapping[str, str]]
"""Of a network: names of modules, attributes of each, and what a read of such an attribute is a read of."""


def reads(network: nn.Module, attributes: Attributes, inputs: Inputs) -> set[str]:
    """What one forward pass reads of a network, which is left as it is.

    Args:
        network: A float or a quantized network.
        attributes: What is recorded, beside states, which are read in every step of theirs.
        inputs: A batch as the network takes it.
    """
    seen: set[str] = set()
    network = watched(network, lambda name, _: seen.add(name))
    for name, own in attributes.items():
        _record(network.get_submodule(name), own, seen.add)
    for name, module in network.named_modules():
        if "_quantization" in module.__dict__:
            _record_decays(module, name, seen.add)
    run(network, inputs)
    return seen


def coefficient_attributes(network: nn.Module) -> dict[str, dict[str, str]]:
    """The attributes that hold thresholds and decays."""
    return {
        name: {coefficient.attribute: join(name, coefficient.name) for coefficient in coefficients(module)}
        for name, module in network.named_modules()
        if has_states(module)
    }


def _record(module: Any, attributes: Mapping[str, str], on_read: Callable[[str], None]) -> None:
    """Change the class of ``module`` to one with properties that call ``on_read`` and pass the attributes on."""
    kind: Any = type(module)
    body: dict[str, Any] = {own: _recorded(kind, own, full, on_read) for own, full in attributes.items()}
    module.__class__ = type(kind.__name__, (kind,), body)


def _recorded(kind: Any, own: str, full: str, on_read: Callable[[str], None]) -> property:
    inherited = getattr(kind, own, None)

    def read(module: Any) -> Any:
        on_read(full)
        if isinstance(inherited, property):
            return inherited.__get__(module)
        for store in (module.__dict__, module._parameters, module._buffers):
            if own in store:
                return store[own]
        return inherited

    def write(module: Any, value: Any) -> None:
        if isinstance(inherited, property):
            inherited.__set__(module, value)
        elif own in module._buffers:
            module._buffers[own] = value
        else:
            module.__dict__[own] = value

    return property(read, write)


def _record_decays(module: Any, name: str, on_read: Callable[[str], None]) -> None:
    """Fixed-point steps read their decays by a method."""
    kind: Any = type(module)

    def decay(module: Any, own: str, *arguments: Any) -> Any:
        on_read(join(name, own))
        return kind._decay(module, own, *arguments)

    module.__class__ = type(kind.__name__, (kind,), {"_decay": decay})
