"""Watch a network that runs: its states after every time step, and the inputs of its synapses."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

import torch
from spikingjelly.activation_based import base, functional
from torch import Tensor, nn

from qspinn_optuna.networks.modules.states import transform_states
from qspinn_optuna.networks.modules.steps import forget_steps
from qspinn_optuna.networks.modules.support import SYNAPSES, has_states
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.running.batches import Inputs, call

StateWatcher = Callable[[str, Tensor], None]
InputWatcher = Callable[[str, Tensor], None]


@dataclass
class _Watch:
    """Passes the states of one module on, unchanged."""

    module_name: str
    watcher: StateWatcher

    def __call__(self, name: str, value: Tensor) -> Tensor:
        self.watcher(join(self.module_name, name), value.detach())
        return value


def watched(network: nn.Module, on_state: StateWatcher, on_input: InputWatcher | None = None) -> nn.Module:
    """A copy of ``network``, in evaluation mode, that calls watchers while it runs.

    Args:
        network: A supported network.
        on_state: Called with name and value of every state after every time step.
        on_input: Called with name and input of every synapse.
    """
    network = fresh_copy(network).eval()
    for name, module in network.named_modules():
        if has_states(module):
            transform_states(module, _Watch(name, on_state))
        elif on_input is not None and isinstance(module, SYNAPSES):
            module.register_forward_pre_hook(_input_hook(name, on_input))
    return network


def fresh_copy(network: nn.Module) -> nn.Module:
    """A copy of ``network`` with states as before the first step; ``network`` keeps its own, gradients included."""
    stateful = [module for module in network.modules() if isinstance(module, base.MemoryModule)]
    kept = [(module, module._memories, module.__dict__.get("v_seq")) for module in stateful]
    try:
        for module in stateful:
            module.__dict__["_memories"] = copy.deepcopy(module._memories_rv)
            if "v_seq" in module.__dict__:
                module.__dict__["v_seq"] = None
        copied = copy.deepcopy(network, _without_history(network))
    finally:
        for module, memories, v_seq in kept:
            module.__dict__["_memories"] = memories
            if "v_seq" in module.__dict__:
                module.__dict__["v_seq"] = v_seq
    forget_steps(copied)
    return copied


def _without_history(network: nn.Module) -> dict[int, Any]:
    """A memo for ``deepcopy`` of tensors with a history, which torch does not copy.

    Modules hold them as weights that they compute again before they use them, such as pruned ones, as states in
    buffers, and as recorded values in lists, objects and hooks.
    """
    memo: dict[int, Any] = {}
    seen: set[int] = set()
    pending: list[Any] = [module.__dict__ for module in network.modules()]
    while pending:
        value = pending.pop()
        if isinstance(value, Tensor) and not value.is_leaf:
            memo[id(value)] = value.detach().clone()
        elif id(value) not in seen and not isinstance(value, Tensor | nn.Module | type | str | FunctionType):
            seen.add(id(value))
            pending += _parts(value)
    return memo


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list | tuple | set | deque):
        return value
    if isinstance(value, MethodType):
        return (value.__self__,)
    attributes = getattr(value, "__dict__", None)
    return attributes.values() if isinstance(attributes, dict) else ()


@torch.no_grad()
def run(network: nn.Module, inputs: Inputs) -> Any:
    """One forward pass from fresh states; what the network puts out. Errors as in :func:`~.batches.call`."""
    functional.reset_net(network)
    output = call(network, inputs)
    functional.reset_net(network)
    return output


def _input_hook(name: str, on_input: InputWatcher) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        on_input(name, inputs[0].detach())

    return hook
