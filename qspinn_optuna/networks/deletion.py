"""A control network: the same network without memory from one time step to the next."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.states import transform_states
from qspinn_optuna.networks.support import check_supported, has_states
from qspinn_optuna.networks.watching import fresh_copy


class _Reset:
    """Resets a state to its value before the first step, after the step has computed its output."""

    changes_output = False

    def __init__(self, starts: dict[str, Any]) -> None:
        self.starts = starts

    def __call__(self, name: str, value: Tensor) -> Tensor:
        start = self.starts.get(name)
        return torch.full_like(value, start if isinstance(start, float | int) else 0.0)


def delete_states(network: nn.Module) -> nn.Module:
    """A copy of ``network`` whose states are reset after every time step.

    If the copy is as accurate as the original once it is trained again, the task needs no memory, and narrow formats of
    states prove nothing.

    Raises:
        TypeError: If ``network`` is no module.
        ValueError: If a module has states that are out of reach.
    """
    check_supported(network)
    network = fresh_copy(network)
    for module in network.modules():
        if has_states(module):
            memories: Any = module._memories_rv
            transform_states(module, _Reset(dict(memories)))
    return network
