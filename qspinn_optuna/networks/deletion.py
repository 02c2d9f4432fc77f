"""A control network: the same network without memory from one time step to the next."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.modules.states import transform_states
from qspinn_optuna.networks.modules.support import check_supported, has_states
from qspinn_optuna.networks.running.batches import Inputs, as_inputs
from qspinn_optuna.networks.running.reach import reach_of
from qspinn_optuna.networks.running.watching import fresh_copy


class _Reset:
    """Resets a state to its value before the first step, after the step has computed its output."""

    changes_output = False

    def __init__(self, starts: dict[str, Any]) -> None:
        self.starts = starts

    def __call__(self, name: str, value: Tensor) -> Tensor:
        start = self.starts.get(name)
        return torch.full_like(value, start if isinstance(start, float | int) else 0.0)


def delete_states(network: nn.Module, sample: Inputs | None = None) -> nn.Module:
    """A copy of ``network`` whose states are reset after every time step.

    If the copy is as accurate as the original once it is trained again, the task needs no memory, and narrow formats of
    states prove nothing.

    Args:
        network: Any supported network.
        sample: A batch as the network takes it: modules that it does not reach may be of any kind.

    Raises:
        TypeError: If ``network`` is no module.
        ValueError: If a module has states that are out of reach.
    """
    check_supported(network, () if sample is not None else None)
    if sample is not None:
        check_supported(network, reach_of(network, as_inputs(sample)).modules)
    network = fresh_copy(network)
    for module in network.modules():
        if has_states(module):
            memories: Any = module._memories_rv
            transform_states(module, _Reset(dict(memories)))
    return network
