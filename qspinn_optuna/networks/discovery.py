"""Find the parameters that a device stores for a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from qspinn_optuna.networks.coefficients import coefficients
from qspinn_optuna.networks.fixed_point_classes import LEARNED_DECAY, takes_fixed_point_step
from qspinn_optuna.networks.recording import coefficient_attributes, reads
from qspinn_optuna.networks.support import check_supported, has_parameters, has_states
from qspinn_optuna.networks.watching import join, run, watched
from qspinn_optuna.parameters import Family


@dataclass(frozen=True)
class NetworkParameter:
    """One array that a device stores for a network.

    Args:
        name: Module and attribute, such as "conv1.weight", "lif1.v", "lif1.threshold".
        family: Its kind.
        count: Number of elements, of states those of one sample; None for states that no sample has shown.
    """

    name: str
    family: Family
    count: int | None


def find_parameters(network: nn.Module, sample: Tensor | None = None) -> tuple[NetworkParameter, ...]:
    """Weights, biases, states, thresholds and decays of a network, in the order of its modules.

    Args:
        network: Any torch network; states are those of SpikingJelly's ``MemoryModule``, the user's own included.
        sample: A batch as the network takes it, from which the sizes of states are seen. Their first dimension must
            be the batch.

    Raises:
        TypeError: If ``network`` is no module.
        ValueError: If a module cannot be quantized, or there is nothing to quantize.
    """
    check_supported(network)
    sizes = {} if sample is None else _state_sizes(network, sample)
    unread = set() if sample is None else unread_coefficients(network, sample)
    found: list[NetworkParameter] = []
    weights = synaptic_parameters(network)
    names = {id(parameter): name for name, parameter in weights.items()}
    for name, module in network.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            if names.get(id(parameter)) == join(name, own):
                family = Family.BIAS if own.endswith("bias") else Family.WEIGHT
                found.append(NetworkParameter(join(name, own), family, parameter.numel()))
        if has_states(module):
            found += _of_neurons(name, module, sizes)
    if not found:
        raise ValueError("The network has nothing to quantize: no weights, and no neurons of SpikingJelly's.")
    return tuple(parameter for parameter in found if parameter.name not in unread)


def unread_coefficients(network: nn.Module, sample: Tensor) -> set[str]:
    """Thresholds and decays that the network has and does not read, such as those of a ``forward`` of the user's."""
    own_steps = optional_coefficients(network)
    return own_steps - reads(network, coefficient_attributes(network), sample) if own_steps else set()


def optional_coefficients(network: nn.Module) -> set[str]:
    """Thresholds and decays of neurons with steps of their own, which may not read them."""
    return {
        join(name, coefficient.name)
        for name, module in network.named_modules()
        if has_states(module) and not takes_fixed_point_step(module)
        for coefficient in coefficients(module)
    }


def synaptic_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """The stored parameters by name, shared ones by their first; without those behind learned decays."""
    found: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for name, module in network.named_modules():
        if not has_parameters(module):
            continue
        for own, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen and not (own == LEARNED_DECAY and _learns_decay(module)):
                seen.add(id(parameter))
                found[join(name, own)] = parameter
    return found


def _of_neurons(name: str, module: Any, sizes: dict[str, int]) -> Iterator[NetworkParameter]:
    """States, thresholds and decays of a module."""
    for state in module._memories:
        family = Family.MEMBRANE if state == "v" else Family.TRACE
        yield NetworkParameter(join(name, state), family, sizes.get(join(name, state)))
    for coefficient in coefficients(module):
        yield NetworkParameter(join(name, coefficient.name), coefficient.family, coefficient.values.numel())


def _learns_decay(module: nn.Module) -> bool:
    return any(coefficient.learned for coefficient in coefficients(module))


def _state_sizes(network: nn.Module, sample: Tensor) -> dict[str, int]:
    """Elements of every state for one sample."""
    sizes: dict[str, int] = {}

    def measure(name: str, value: Tensor) -> None:
        sizes[name] = max(sizes.get(name, 0), per_sample(name, value))

    run(watched(network, measure), sample)
    return sizes


def per_sample(name: str, state: Tensor) -> int:
    """Elements of a state, [batch, ...], for one sample.

    Raises:
        ValueError: If it has no other dimension than the batch.
    """
    if state.ndim < 2:
        raise ValueError(
            f"{name} must be [batch, ...], got the shape {tuple(state.shape)}: give the network a batch of samples."
        )
    return state.numel() // len(state)
