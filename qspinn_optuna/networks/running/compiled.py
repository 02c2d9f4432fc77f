"""Networks of which torch has compiled parts, or does not know all shapes yet."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from qspinn_optuna.networks.running.batches import Inputs, cloned
from qspinn_optuna.networks.running.watching import fresh_copy, run


def as_python(network: nn.Module) -> nn.Module:
    """``network`` itself, or if ``torch.compile`` made parts of it a copy that runs the modules within.

    Quantization replaces what modules read, for which torch would compile them again and again.

    Raises:
        ValueError: As :func:`check_readable` does.
    """
    check_readable(network)
    compiled = _compiled_class()
    if compiled is None or not any(isinstance(module, compiled) for module in network.modules()):
        return network
    copied: nn.Module = _within(fresh_copy(network), compiled)
    for module in list(copied.modules()):
        for name, child in module._modules.items():
            module._modules[name] = _within(child, compiled)
    return copied


def check_readable(network: nn.Module) -> None:
    """Refuse a network whose weights cannot be replaced, or are not there yet.

    Raises:
        ValueError: If TorchScript made parts of it, or the shape of a parameter is not known.
    """
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"{name or 'The network'} is of TorchScript, whose weights and states cannot be replaced: give the "
                "module that it was made of."
            )
    for name, parameter in network.named_parameters():
        if is_lazy(parameter):
            raise ValueError(f"{name} has no shape yet: run the network on a batch first.")


def initialize(network: nn.Module, inputs: Inputs) -> None:
    """Give lazy parameters of ``network``, such as those of ``nn.LazyLinear``, their shapes and values, in place.

    Args:
        network: One without lazy parameters is left alone.
        inputs: As the network takes them.
    """
    if any(is_lazy(value) for value in (*network.parameters(), *network.buffers())):
        training = {module: module.training for module in network.modules()}
        run(network.eval(), cloned(inputs))
        for module, mode in training.items():
            module.training = mode


def _within(module: Any, compiled: Any) -> Any:
    while isinstance(module, compiled):
        module = module._orig_mod
    return module


def _compiled_class() -> Any:
    """The class of what ``torch.compile`` makes; None if nothing was compiled, since its import takes seconds."""
    evaluation = sys.modules.get("torch._dynamo.eval_frame")
    return None if evaluation is None else evaluation.OptimizedModule
