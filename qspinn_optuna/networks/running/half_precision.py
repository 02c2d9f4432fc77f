"""Networks of float16 or bfloat16, which are computed in float32."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.modules.support import SYNAPSES
from qspinn_optuna.networks.running.watching import fresh_copy

_HALF = (torch.float16, torch.bfloat16)


def in_float32(network: nn.Module) -> nn.Module:
    """``network`` itself, or if it is of half precision a copy that computes in float32 whatever it is given.

    The sums of fixed-point values have more digits than half precision holds. A warning tells.
    """
    tensors = itertools.chain(network.parameters(), network.buffers())
    if all(tensor.dtype not in _HALF for tensor in tensors):
        return network
    warnings.warn(
        "The network is of float16 or bfloat16, which hold too few digits to simulate fixed point: it is computed in "
        "float32.",
        stacklevel=2,
    )
    network = fresh_copy(network)
    network._apply(lambda tensor: tensor.float() if tensor.dtype in _HALF else tensor)  # type: ignore[no-untyped-call]
    for module in network.modules():
        # Layers too, since networks may cast within their forward.
        if module is network or isinstance(module, SYNAPSES):
            module.register_forward_pre_hook(cast_inputs)
    return network


def cast_inputs(module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Inputs of half precision in the type of the module's parameters: float64 in checks, which compute in that."""
    dtype = next((parameter.dtype for parameter in module.parameters()), torch.float32)
    return tuple(value.to(dtype) if isinstance(value, Tensor) and value.dtype in _HALF else value for value in inputs)
