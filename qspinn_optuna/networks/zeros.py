"""Where a parameter has to have a 0, which a mid-rise format does not have."""

from __future__ import annotations

from torch import nn

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.networks.discovery.discovery import listed_parameters
from qspinn_optuna.networks.entry.inputs import is_input
from qspinn_optuna.networks.running.reparametrization import KeepPruned
from qspinn_optuna.parameters import Family

_SPARSE = 0.5
"""Part of zeros from which weights are sparse."""

_REASONS = {
    Family.MEMBRANE: "membranes rest at 0",
    Family.TRACE: "traces are 0 where nothing was",
    Family.INPUT: "an input is 0 where nothing is",
}


def check_zeros(network: nn.Module, config: QuantizationConfig) -> None:
    """Refuse mid-rise formats of states, inputs, and weights that are sparse or pruned.

    Raises:
        ValueError: Naming the parameter.
    """
    mid_rise = {name for name, quantization in config.parameters.items() if quantization.format.is_mid_rise}
    if not mid_rise:
        return
    families = {found.name: found.family for found in listed_parameters(network)}
    for name in sorted(mid_rise):
        family = Family.INPUT if is_input(name) else families.get(name)
        reason = _REASONS.get(family) if family is not None else None
        if reason is None and family is Family.WEIGHT:
            reason = _sparseness(network, name)
        if reason is not None:
            raise ValueError(
                f"{name} must have a mid-tread format, got {config[name].format}, which has no 0: {reason}."
            )


def _sparseness(network: nn.Module, name: str) -> str | None:
    """Why weights have to have a 0; None if they need none."""
    owner, _, own = name.rpartition(".")
    module = network.get_submodule(owner)
    hooks = module._forward_pre_hooks.values()
    if any(isinstance(hook, KeepPruned) and hook.name == own for hook in hooks):
        return "pruned weights stay 0"
    weight = module._parameters.get(own)
    if weight is None or weight.ndim < 2:
        return None
    # A channel of zeros is one whose scale is 0.
    rows = weight.detach().flatten(1)
    rows = rows[rows.any(1)]
    if rows.numel() == 0 or float((rows == 0).float().mean()) < _SPARSE:
        return None
    return f"{(rows == 0).float().mean():.0%} of the weights are 0"
