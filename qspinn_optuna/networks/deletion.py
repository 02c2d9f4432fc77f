"""A control network: the same network without memory from one time step to the next."""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna.networks.modules.states import transform_states
from qspinn_optuna.networks.modules.support import check_supported, has_states
from qspinn_optuna.networks.running.batches import Inputs, as_inputs, call
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
        sample: A batch as the network takes it: modules that it does not reach may be of any kind. With it, variables
            are found in which the network's own loop over time keeps spikes for a later step.

    Raises:
        TypeError: If ``network`` is no module.
        ValueError: If a module has states that are out of reach, or spikes come back to neurons by a variable.
    """
    check_supported(network, () if sample is not None else None)
    if sample is not None:
        check_supported(network, reach_of(network, as_inputs(sample)).modules)
    network = fresh_copy(network)
    for module in network.modules():
        if has_states(module):
            memories: Any = module._memories_rv
            transform_states(module, _Reset(dict(memories)))
    if sample is not None:
        _check_forgotten(network, as_inputs(sample))
    return network


class _Feedback:
    """Finds out whether what neurons put out at one call is in what they take at the next one, by its gradient."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.marker: Tensor | None = None

    def before(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        """A hook before a call."""
        taken = inputs[0] if inputs else None
        if self.marker is None or not isinstance(taken, Tensor) or not taken.requires_grad:
            return
        gradient = torch.autograd.grad(taken.sum(), self.marker, allow_unused=True, retain_graph=True)[0]
        if gradient is not None:
            raise ValueError(
                f"The states of {self.name} cannot be deleted: its spikes of the step before come back by a variable "
                "of the network's own loop. Keep them as a state, by ElementWiseRecurrentContainer of SpikingJelly."
            )

    def after(self, _: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        """A hook after a call."""
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        self.marker = torch.zeros_like(output, requires_grad=True)
        return output + self.marker


def _check_forgotten(network: nn.Module, inputs: Inputs) -> None:
    """Refuse a network of deleted states whose own loop over time keeps spikes."""
    hooks = []
    for name, module in network.named_modules():
        if has_states(module):
            feedback = _Feedback(name)
            hooks += [module.register_forward_pre_hook(feedback.before), module.register_forward_hook(feedback.after)]
    functional.reset_net(network)
    try:
        with torch.enable_grad(), torch.random.fork_rng():
            call(network, inputs)
    finally:
        for hook in hooks:
            hook.remove()
        functional.reset_net(network)
