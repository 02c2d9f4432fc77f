"""Weights that a network computes from other parameters: the weights that it uses become its parameters.

Pruned modules (``torch.nn.utils.prune``), weight and spectral normalization, old and new, and any other
parametrization store something else than the weights they use. A device stores those that are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm, SpectralNormLoadStateDictPreHook
from torch.nn.utils.weight_norm import WeightNorm

from qspinn_optuna.fixed_point.exporting import is_exporting
from qspinn_optuna.networks.running.compiled import as_python
from qspinn_optuna.networks.running.half_precision import in_float32
from qspinn_optuna.networks.running.watching import fresh_copy


def with_plain_parameters(network: nn.Module) -> nn.Module:
    """``network`` itself, or if it needs one a copy whose parameters are the float32 weights that it uses.

    Pruned weights of the copy stay zero, in training too. Normalizations and other parametrizations are gone: training
    the copy trains the weights themselves. A network of float16 or bfloat16 is computed in float32, of which a warning
    tells. Anything but a module is returned as it is.
    """
    if not isinstance(network, nn.Module):
        return network
    network = as_python(network)
    if any(_is_computed(module) for module in network.modules()):
        network = fresh_copy(network)
        for module in list(network.modules()):
            if _is_computed(module):
                _bake(module)
    return in_float32(network)


class KeepPruned:
    """A forward pre-hook that sets pruned weights to zero after every update.

    Args:
        name: Of the parameter in its module.
        pruned: Where its values are pruned.
    """

    def __init__(self, name: str, pruned: Tensor) -> None:
        self.name = name
        self.pruned = pruned
        self._done: tuple[int, int] | None = None

    def __call__(self, module: nn.Module, _: object = None) -> None:
        """Set them to zero, unless torch has written nothing into them since the last time."""
        if is_exporting():
            return
        weight: Any = module._parameters[self.name]
        if weight.is_inference() or self._done != _version(weight):
            self.pruned = self.pruned.to(weight.device)
            with torch.no_grad():
                weight.masked_fill_(self.pruned, 0.0)
            self._done = None if weight.is_inference() else _version(weight)


def settle_pruned(network: nn.Module) -> None:
    """Set pruned weights to zero, in place, as the next forward pass would."""
    for module in network.modules():
        for hook in _hooks(module, KeepPruned):
            hook(module)


def _is_computed(module: nn.Module) -> bool:
    kinds = (prune.BasePruningMethod, WeightNorm, SpectralNorm, KeepPruned)
    return parametrize.is_parametrized(module) or bool(list(_hooks(module, kinds)))


def _bake(module: Any) -> None:
    """Make parameters of the weights that ``module`` uses, in place."""
    for hook in list(_hooks(module, (prune.BasePruningMethod, WeightNorm, SpectralNorm))):
        name = hook._tensor_name if isinstance(hook, prune.BasePruningMethod) else hook.name
        stored = [f"{name}_orig", f"{name}_g", f"{name}_v"]
        trained = any(module._parameters[own].requires_grad for own in stored if own in module._parameters)
        if isinstance(hook, prune.BasePruningMethod):
            pruned = getattr(module, f"{name}_mask") == 0
            prune.remove(module, name)  # type: ignore[no-untyped-call]
            module.register_forward_pre_hook(KeepPruned(name, pruned))
        elif isinstance(hook, WeightNorm):
            remove_weight_norm(module, name)
        else:
            remove_spectral_norm(module, name)
        module._parameters[name].requires_grad_(trained)
    if parametrize.is_parametrized(module):
        _bake_parametrizations(module)
    _forget_loading(module)
    # In the order of other modules: a weight comes before its bias.
    module._parameters = dict(sorted(module._parameters.items(), key=lambda entry: entry[0] != "weight"))
    for hook in _hooks(module, KeepPruned):
        hook(module)


def _forget_loading(module: Any) -> None:
    """Remove what loads the stored parameters of a normalization that is gone."""
    # NOTE: torch wraps these hooks, so that it does not find them when it removes a normalization.
    for key, wrapped in list(module._load_state_dict_pre_hooks.items()):
        hook = getattr(wrapped, "hook", wrapped)
        of_new_one = getattr(hook, "__module__", None) == "torch.nn.utils.parametrizations"
        if of_new_one or isinstance(hook, SpectralNormLoadStateDictPreHook):
            del module._load_state_dict_pre_hooks[key]


def _bake_parametrizations(module: Any) -> None:
    # NOTE: parametrize.remove_parametrizations would change the class, which the original of the copy shares.
    parametrizations = module.parametrizations.eval()  # Some compute their statistics anew in training mode.
    values = {name: getattr(module, name).detach().clone() for name in parametrizations}
    module.__class__ = type(module).__bases__[0]
    del module._modules["parametrizations"]
    for name, value in values.items():
        stored = list(parametrizations[name].parameters())
        if stored:
            trained = any(parameter.requires_grad for parameter in stored)
            module.register_parameter(name, nn.Parameter(value, requires_grad=trained))
        else:
            module.register_buffer(name, value)


def _hooks(module: nn.Module, kinds: type | tuple[type, ...]) -> Iterator[Any]:
    return (hook for hook in module._forward_pre_hooks.values() if isinstance(hook, kinds))


def _version(weight: Tensor) -> tuple[int, int]:
    return weight._version, weight.data_ptr()
