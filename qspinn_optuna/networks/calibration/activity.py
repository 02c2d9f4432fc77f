"""The activity of a network's neurons, and how they compute."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from qspinn_optuna.networks.discovery.unreached import is_left
from qspinn_optuna.networks.modules.neurons import has_fixed_point_step
from qspinn_optuna.networks.modules.support import has_states
from qspinn_optuna.networks.running.batches import Batches, inputs_of
from qspinn_optuna.networks.running.watching import fresh_copy, run


def silent_layers(network: nn.Module, batches: Batches) -> list[str]:
    """Names of the layers of neurons whose outputs are all zero.

    Args:
        network: Any network; its states are left as they are.
        batches: Inputs as the network takes them, or tuples that begin with them.
    """
    network = fresh_copy(network).eval()
    silent = {name for name, module in network.named_modules() if has_states(module) and "v" in _memories(module)}

    def listen(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, Tensor) and bool(output.any()):
                silent.discard(name)

        return hook

    for name in sorted(silent):
        network.get_submodule(name).register_forward_hook(listen(name))
    for inputs in inputs_of(batches):
        if not silent:
            break
        run(network, inputs)
    return sorted(silent)


def computes_in_fixed_point(network: nn.Module) -> bool:
    """Whether the steps of all neurons are computed in fixed point; see :func:`~.neurons.has_fixed_point_step`."""
    return all(
        has_fixed_point_step(module) for module in network.modules() if has_states(module) and not is_left(module)
    )


def _memories(module: Any) -> dict[str, Any]:
    memories: dict[str, Any] = module._memories
    return memories
