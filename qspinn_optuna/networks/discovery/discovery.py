"""Find the parameters that a device stores for a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from qspinn_optuna.networks.modules.channel_affine import ChannelAffine
from qspinn_optuna.networks.modules.channel_scale import ScaledSums, plan_of
from qspinn_optuna.networks.modules.coefficients import coefficients
from qspinn_optuna.networks.modules.fixed_point_classes import LEARNED_DECAY, takes_fixed_point_step
from qspinn_optuna.networks.modules.support import SYNAPSES, check_supported, has_parameters, has_states
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.running.batches import Inputs, as_inputs
from qspinn_optuna.networks.running.reach import Reach, reach_of, warn_of_unreached
from qspinn_optuna.networks.running.recording import coefficient_attributes, reads
from qspinn_optuna.networks.running.reparametrization import with_plain_parameters
from qspinn_optuna.networks.running.state_sizes import state_sizes
from qspinn_optuna.parameters import Family

_THRESHOLDS = ("v_th", "vth")
"""Short names of thresholds."""


@dataclass(frozen=True)
class NetworkParameter:
    """One array that a device stores for a network.

    Example:
        >>> find_parameters(network)[0]
        NetworkParameter(name='0.weight', family=<Family.WEIGHT: 'weight'>, count=128)

    Args:
        name: Module and attribute, such as "conv1.weight", "lif1.v", "lif1.threshold".
        family: Its kind.
        count: Number of elements, of states those of one sample; None for states that no sample has shown.
    """

    name: str
    family: Family
    count: int | None


def find_parameters(network: nn.Module, sample: Inputs | None = None) -> tuple[NetworkParameter, ...]:
    """Weights, biases, states, thresholds and decays of a network, in the order of its modules.

    With a sample only what it reaches is listed, see :mod:`~.reach`; the rest is told in a warning. What belongs to no
    module is not listed: :func:`calibrate` adds "input", "layer.input" and "reciprocal.k" where the values that it sees
    need them. A parameter that is called a threshold, such as a trained ``v_threshold``, is of that family.

    Example:
        >>> [parameter.name for parameter in find_parameters(network, sample=spikes)]
        ['0.weight', '1.v', '1.threshold', '1.decay', '2.weight']

    Args:
        network: Any torch network; states are those of SpikingJelly's ``MemoryModule``, the user's own included.
        sample: A batch as the network takes it, from which the sizes of states are seen; a tuple for several inputs.

    Raises:
        TypeError: If ``network`` is no module, or ``sample`` no tensors.
        ValueError: If a module cannot be quantized, a parameter has no elements, ``sample`` is empty or the network
            does not take it, or there is nothing to quantize.
    """
    network = with_plain_parameters(network)
    if sample is None:
        check_supported(network)
        return listed_parameters(network)
    inputs = as_inputs(sample)
    reach = reach_of(network, inputs)
    check_supported(network, reach.modules)
    warn_of_unreached(network, reach, stacklevel=2)
    sizes = state_sizes(network, inputs).counts
    unread = unread_coefficients(network, inputs)
    return tuple(
        replace(found, count=sizes.get(found.name, found.count))
        for found in listed_parameters(network, reach)
        if found.name not in unread
    )


def listed_parameters(network: nn.Module, reach: Reach | None = None) -> tuple[NetworkParameter, ...]:
    """What :func:`find_parameters` finds, modules unchecked, with the sizes of states unknown.

    Args:
        network: A network.
        reach: What a sample reaches in it; None for everything.

    Raises:
        ValueError: If there is nothing to quantize, or a parameter has no elements.
    """
    found: list[NetworkParameter] = []
    weights = synaptic_parameters(network)
    reached = None if reach is None else _reached_ids(network, reach)
    names = {id(parameter): name for name, parameter in weights.items()}
    for name, module in network.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            counts = reached is None or id(parameter) in reached
            if counts and names.get(id(parameter)) == join(name, own):
                family = _family(module, own)
                _check_filled(join(name, own), parameter)
                found.append(NetworkParameter(join(name, own), family, parameter.numel()))
        found += _planned_scale(name, module, {one.name for one in found})
        if has_states(module) and (reach is None or name in reach.modules):
            found += _of_neurons(name, module)
    if not found:
        raise ValueError(
            "The network has nothing to quantize: no weights, and no neurons of SpikingJelly's"
            + ("." if reach is None else ", that the sample reaches.")
        )
    return tuple(found)


def unread_coefficients(network: nn.Module, sample: Inputs) -> set[str]:
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


def synapse_weights(network: nn.Module) -> set[str]:
    """Names of the weights of layers, those that are multiplied by what the layers take."""
    names = {id(parameter): name for name, parameter in synaptic_parameters(network).items()}
    stored = (module._parameters.get("weight") for module in network.modules() if isinstance(module, SYNAPSES))
    return {names[id(weight)] for weight in stored if id(weight) in names}


def _of_neurons(name: str, module: Any) -> Iterator[NetworkParameter]:
    """States, thresholds and decays of a module."""
    for state in module._memories:
        family = Family.MEMBRANE if state == "v" else Family.TRACE
        yield NetworkParameter(join(name, state), family, None)
    for coefficient in coefficients(module):
        yield NetworkParameter(join(name, coefficient.name), coefficient.family, coefficient.values.numel())


def _planned_scale(name: str, module: Any, found: set[str]) -> Iterator[NetworkParameter]:
    """The scales that a layer will have once it is quantized."""
    plan = plan_of(module)
    if plan is not None and not isinstance(module, ScaledSums) and join(name, "weight") in found:
        yield NetworkParameter(join(name, plan.kind.parameter), Family.SCALE, len(module.weight))


def _family(module: nn.Module, own: str) -> Family:
    """The family of a stored parameter, by its name: trained thresholds are thresholds as constant ones are."""
    if isinstance(module, ScaledSums) and own not in ("weight", "bias"):
        return Family.SCALE
    if own.endswith("bias") or (isinstance(module, ChannelAffine) and own == "offset"):
        return Family.BIAS
    return Family.THRESHOLD if "thresh" in own or own in _THRESHOLDS else Family.WEIGHT


def _learns_decay(module: nn.Module) -> bool:
    return any(coefficient.learned for coefficient in coefficients(module))


def _reached_ids(network: nn.Module, reach: Reach) -> set[int]:
    """The parameters that a sample reaches, shared ones under any of their names."""
    return {id(value) for name, module in network.named_modules() for _, value in reach.parameters_of(name, module)}


def _check_filled(name: str, parameter: nn.Parameter) -> None:
    if parameter.numel() == 0:
        raise ValueError(f"{name} must have elements, got the shape {tuple(parameter.shape)}: take its layer out.")
