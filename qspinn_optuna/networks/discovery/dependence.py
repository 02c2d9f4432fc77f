"""Whether what a network computes depends on its inputs at all."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.running.batches import Inputs, cloned, mapped
from qspinn_optuna.networks.running.nested import tensors_in
from qspinn_optuna.networks.running.watching import fresh_copy, run, watched


def check_dependent(network: nn.Module, inputs: Inputs) -> None:
    """Refuse a network that computes the same for other inputs: all states, inputs of synapses, and outputs.

    The network is run with ``inputs`` and with zeros, with the same random numbers. A network that is silent, or
    whose weights are 0, is not refused: its membranes, or what its synapses take, differ.

    Args:
        network: A supported network. It and torch's generators are left as they are.
        inputs: As the network takes them.

    Raises:
        ValueError: If nothing differs.
    """
    others = [mapped(inputs, other) for other in (torch.zeros_like, torch.ones_like)]
    if not _all_equal(network, inputs, others, _outputs):
        return
    if _all_equal(network, inputs, others, _all_values):
        raise ValueError(
            "The network puts out the same, and has the same states, for these inputs, for zeros and for ones: its "
            "forward must compute its output from its inputs."
        )


def _all_equal(
    network: nn.Module, inputs: Inputs, others: list[Inputs], values: Callable[[nn.Module, Inputs], list[Tensor]]
) -> bool:
    seen = values(network, inputs)
    try:
        return all(_equal(seen, values(network, other)) for other in others)
    except Exception:
        # A network may refuse zeros or ones by any error: it looks at its inputs.
        return False


def _outputs(network: nn.Module, inputs: Inputs) -> list[Tensor]:
    return _outputs_of(fresh_copy(network).eval(), inputs)


def _all_values(network: nn.Module, inputs: Inputs) -> list[Tensor]:
    """Every state after every step, what every synapse takes, and the outputs."""
    seen: list[Tensor] = []

    def see(_: str, value: Tensor) -> None:
        seen.append(value.clone())

    outputs = _outputs_of(watched(network, see, see), inputs)
    return [*seen, *outputs]


def _outputs_of(network: nn.Module, inputs: Inputs) -> list[Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return list(tensors_in(run(network, cloned(inputs))))


def _equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
