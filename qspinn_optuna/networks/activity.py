"""What neurons of a network put out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from qspinn_optuna.networks.neurons import fixed_point_class
from qspinn_optuna.networks.support import has_states
from qspinn_optuna.networks.watching import fresh_copy, run


def silent_layers(network: nn.Module, batches: Iterable[Any]) -> list[str]:
    """Names of the layers of neurons that put out nothing but zeros.

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
    for batch in batches:
        if not silent:
            break
        run(network, batch if isinstance(batch, Tensor) else batch[0])
    return sorted(silent)


def computes_in_fixed_point(network: nn.Module) -> bool:
    """Whether all steps between the roundings of states are sums and products, which fixed point does exactly.

    Those of neurons with exponentials, squares or divisions are not; nor is it known of a user's own, unless its class
    says so by ``fixed_point_step = True``.
    """
    return all(
        "_quantization" in module.__dict__
        or fixed_point_class(type(module)) is not None
        or getattr(module, "fixed_point_step", False)
        for module in network.modules()
        if has_states(module)
    )


def _memories(module: Any) -> dict[str, Any]:
    memories: dict[str, Any] = module._memories
    return memories
