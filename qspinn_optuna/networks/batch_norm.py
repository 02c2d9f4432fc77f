"""Fold batch normalization into the layers before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from spikingjelly.activation_based import functional
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from qspinn_optuna.networks.reparametrization import with_plain_parameters
from qspinn_optuna.networks.support import BATCH_NORMS, SYNAPSES
from qspinn_optuna.networks.watching import fresh_copy, run, watched

_TOLERANCE = 1e-6
"""Largest change of a state or output, in float64, that folding may cause."""


def fold_batch_norm(network: nn.Module, sample: Tensor) -> nn.Module:
    """A copy of ``network`` without batch normalization, folded into the weights and biases before it.

    A run of ``sample`` shows which layer precedes a normalization; the order of the modules does not matter. The
    outputs and states of the folded network are compared with the original ones.

    Args:
        network: Any network; one without batch normalization is just copied.
        sample: A batch as the network takes it.

    Raises:
        ValueError: If a normalization does not follow a convolution or linear layer directly, that layer is used
            elsewhere too, it keeps no running statistics, or folding changes the output.
    """
    network = fresh_copy(with_plain_parameters(network)).eval()
    norms = {name: module for name, module in network.named_modules() if isinstance(module, BATCH_NORMS)}
    if not norms:
        return network
    before = _precise_trace(network, sample)
    producers = _find_producers(network, sample)
    for name, norm in norms.items():
        synapse = producers.get(name)
        if synapse is None:
            raise ValueError(
                f"{name} ({type(norm).__name__}) does not directly follow a convolution or linear layer that nothing "
                "else uses, so it cannot be folded: move it there."
            )
        _fold(name, network.get_submodule(synapse), norm)
        _replace(network, name, nn.Identity())
    functional.invalidate_reset_cache(network)
    after = _precise_trace(network, sample)
    unchanged = all(
        torch.allclose(new, old, rtol=_TOLERANCE, atol=_TOLERANCE) for new, old in zip(after, before, strict=True)
    )
    if not unchanged:
        raise ValueError(
            "Folding batch normalization changed what the network computes: it uses the output of one of the layers "
            f"{sorted(producers[name] for name in norms)} elsewhere too, or that is not finite."
        )
    return network


def _precise_trace(network: nn.Module, sample: Tensor) -> list[Tensor]:
    """Every state after every step, and the output, in float64, where no spike flips for another order of sums."""
    seen: list[Tensor] = []
    output = run(watched(network, lambda _, value: seen.append(value.clone())).double(), sample.double())
    return [*seen, output]


def _find_producers(network: nn.Module, sample: Tensor) -> dict[str, str]:
    """The synapse whose output each normalization takes, if nothing else takes it."""
    made: dict[int, str] = {}
    alive: list[Tensor] = []  # so that no two outputs have the same id
    takers: dict[str, set[str]] = {}

    def after(name: str, module: nn.Module) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(module, SYNAPSES):
                made[id(output)] = name
                alive.append(output)

        return hook

    def before(name: str) -> Callable[[nn.Module, Any], None]:
        def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            for value in inputs:
                if id(value) in made:
                    takers.setdefault(made[id(value)], set()).add(name)

        return hook

    handles = []
    for name, module in network.named_modules():
        if not any(module.children()):
            handles.append(module.register_forward_hook(after(name, module)))
            handles.append(module.register_forward_pre_hook(before(name)))
    run(network, sample)
    for handle in handles:
        handle.remove()
    return {next(iter(names)): synapse for synapse, names in takers.items() if len(names) == 1}


def _fold(name: str, synapse: Any, norm: Any) -> None:
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError(f"{name} ({type(norm).__name__}) keeps no running statistics, so it cannot be folded.")
    scale = torch.ones_like(norm.running_mean) if norm.weight is None else norm.weight
    shift = torch.zeros_like(norm.running_mean) if norm.bias is None else norm.bias
    statistics = (norm.running_mean, norm.running_var, norm.eps, scale, shift)
    if isinstance(synapse, nn.Linear):
        synapse.weight, synapse.bias = fuse_linear_bn_weights(synapse.weight, synapse.bias, *statistics)
    elif isinstance(synapse, nn.modules.conv._ConvTransposeNd):
        # [in, out / groups, ...] to [in / groups, out, ...] and back: a group has output channels of its own.
        trained, groups = synapse.weight.requires_grad, synapse.groups
        grouped = nn.Parameter(torch.cat(synapse.weight.detach().chunk(groups), dim=1), trained)
        weight, synapse.bias = fuse_conv_bn_weights(grouped, synapse.bias, *statistics, transpose=True)
        synapse.weight = nn.Parameter(torch.cat(weight.detach().chunk(groups, dim=1)), trained)
    else:
        synapse.weight, synapse.bias = fuse_conv_bn_weights(synapse.weight, synapse.bias, *statistics)
    # Without a bias before, the new one would be a constant.
    synapse.bias.requires_grad_(synapse.weight.requires_grad)


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)
