"""Plan a scale per output channel for the layers of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from qspinn_optuna.networks.modules.channel_affine import accumulator_fraction_bits
from qspinn_optuna.networks.modules.channel_scale import ChannelScale, ScalePlan, can_be_scaled, plan_scale
from qspinn_optuna.networks.running.batches import Inputs, as_inputs
from qspinn_optuna.networks.running.reparametrization import with_plain_parameters
from qspinn_optuna.networks.running.watching import fresh_copy, run


def scale_channels(network: nn.Module, sample: Inputs, kind: ChannelScale = ChannelScale.FACTOR) -> nn.Module:
    """A copy of ``network`` whose layers get a scale per output channel when they are quantized.

    The copy computes what ``network`` does, with its parameters. :func:`calibrate` lists "layer.scale", or
    "layer.shift", beside each "layer.weight", and gives the weights formats between -1 and 1;
    :func:`quantize_network` fits the scales to the weights. Linear layers and convolutions have scales, unless they
    share their weights or the sample does not reach them.

    Example:
        >>> scaled = scale_channels(network, spikes)
        >>> [parameter.name for parameter in find_parameters(scaled, spikes) if parameter.family == "scale"]
        ['0.scale', '2.scale']

    Args:
        network: Without batch normalization; see :func:`fold_batch_norm`.
        sample: A batch as the network takes it, from whose sums the accumulators of scaled sums get their grid.
        kind: What is stored of the scales.

    Raises:
        TypeError: If ``network`` is no module, or ``sample`` no tensors.
        ValueError: If no layer can have scales.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"network must be a torch.nn.Module, got {type(network).__name__}.")
    network = fresh_copy(with_plain_parameters(network))
    largest: dict[str, float] = {}

    def see(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, __: Any, sums: Tensor) -> None:
            largest[name] = max(largest.get(name, 0.0), float(sums.detach().abs().max()))

        return hook

    watching = fresh_copy(network).eval()
    for name in _layers_of_their_own(watching):
        watching.get_submodule(name).register_forward_hook(see(name))
    run(watching, as_inputs(sample))
    if not largest:
        raise ValueError("network must have a linear layer or a convolution that the sample reaches, to have scales.")
    for name, size in largest.items():
        plan = ScalePlan(ChannelScale(kind), accumulator_fraction_bits(size))
        plan_scale(network.get_submodule(name), plan)
    return network


def _layers_of_their_own(network: nn.Module) -> list[str]:
    """Layers that can have scales, and whose weights no other module uses."""
    users: dict[int, int] = {}
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            users[id(parameter)] = users.get(id(parameter), 0) + 1
    return [
        name
        for name, module in network.named_modules()
        if can_be_scaled(module) and all(users[id(one)] == 1 for one in module.parameters(recurse=False))
    ]
