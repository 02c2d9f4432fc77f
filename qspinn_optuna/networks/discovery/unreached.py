"""Modules of a quantized network that its configuration does not name: left as they are, and guarded.

A configuration names what a sample reaches. The rest, such as a head that training alone uses, stays in floating point
and may run in training mode. If it runs in evaluation mode it is part of the network after all, and refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import nn

from qspinn_optuna.networks.modules.support import reason_against
from qspinn_optuna.networks.running.reach import is_layer

_MARK = "_left_as_it_is"


def guard(name: str, module: nn.Module) -> None:
    """Leave a module as it is, in place, but let it refuse to run in evaluation mode."""
    module.__dict__[_MARK] = True
    module.register_forward_pre_hook(partial(_refuse, name))


def is_left(module: nn.Module) -> bool:
    """Whether a module was left as it is."""
    return _MARK in module.__dict__


def missing_names(network: nn.Module, found: Iterable[str], named: Iterable[str]) -> list[str]:
    """Parameters that a configuration lacks, of modules without inner ones of which it names others.

    A configuration names all of a layer or nothing, but of a network's or block's own parameters those that are read.

    Args:
        network: The network.
        found: Names of all its parameters.
        named: Names in the configuration.
    """
    named = set(named)
    owners = {name.rpartition(".")[0] for name in named}
    parameters = dict(network.named_parameters())
    return sorted(
        name
        for name in found
        if name not in named
        and (owner := name.rpartition(".")[0]) in owners
        and (is_layer(network.get_submodule(owner)) or name not in parameters)
    )


def _refuse(name: str, module: nn.Module, _: Any) -> None:
    if module.training:
        return
    reason = reason_against(module)
    raise ValueError(
        f"{name} ({type(module).__name__}) runs, but the configuration names none of its parameters: "
        + (
            f"it cannot be quantized: {reason}."
            if reason is not None
            else "calibrate(network, batches) with batches that reach it."
        )
    )
