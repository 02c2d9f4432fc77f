"""Give a module of any class new behaviour, by a class derived from its own.

SpikingJelly's multi-step modes call methods of the class, and skip hooks and patches of an instance. A derived class
overrides these methods, and keeps ``isinstance``, names, ``state_dict`` and step modes as they were.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from qspinn_optuna.networks.modules.quantizer import ParameterQuantizer
from qspinn_optuna.networks.modules.truncation import detached


class Derived:
    """Mixin of all derived classes, which are derived again where a module is unpickled or copied."""

    _parameter_quantizers: dict[str, ParameterQuantizer]

    def get_parameter(self, target: str) -> nn.Parameter:
        """The stored parameter that ``named_parameters`` gives, although a read of the attribute gives grid values."""
        owner, _, name = target.rpartition(".")
        stored: nn.Parameter | None = self.get_submodule(owner)._parameters.get(name)  # type: ignore[attr-defined]
        return super().get_parameter(target) if stored is None else stored  # type: ignore[misc]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        state = self.__dict__.copy()
        # States in the middle of a sequence may have gradients, with which they can be neither copied nor pickled.
        if "_memories" in state:
            state["_memories"] = {name: detached(value) for name, value in state["_memories"].items()}
        state["v_seq"] = detached(state.get("v_seq"))
        return _rebuild, _ORIGINS[type(self)], state


class OnGrid:
    """Mixin of modules whose parameters are grid values already: they are read as they are.

    What is loaded into them is put on the grid, which leaves the values of any other frozen network as they are.
    """

    _parameter_quantizers: dict[str, ParameterQuantizer]

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)  # type: ignore[misc]
        store_on_grid(self)


def derive(
    module: nn.Module,
    *mixins: type,
    quantizers: dict[str, ParameterQuantizer] | None = None,
    settled: Mapping[str, Any] | None = None,
) -> None:
    """Change the class of ``module``, in place.

    Args:
        module: Any module.
        mixins: Base classes that come before its class.
        quantizers: Quantizers of its parameters, applied at every read, by their names in the module.
        settled: Values that take the place of what its properties compute, by their names.
    """
    quantizers, settled = quantizers or {}, settled or {}
    kind: Any = type(module)
    # One class however often a module is derived: pickle finds only classes that are not made here.
    before, kind, names = _ORIGINS.get(kind, ((), kind, ()))
    module.__class__ = _derived_class((*mixins, *before), kind, tuple(dict.fromkeys((*names, *quantizers, *settled))))
    module.__dict__["_parameter_quantizers"] = module.__dict__.get("_parameter_quantizers", {}) | quantizers
    if settled:
        module.__dict__["_settled"] = {**module.__dict__.get("_settled", {}), **settled}


def derive_on_grid(module: nn.Module) -> None:
    """Put the parameters of a derived module on their grids, and let them be read as they are, in place."""
    store_on_grid(module)
    mixins, original, _ = _ORIGINS[type(module)]
    if OnGrid not in mixins:
        module.__class__ = _derived_class((OnGrid, *mixins), original, tuple(module.__dict__.get("_settled", ())))


@torch.no_grad()
def store_on_grid(module: Any) -> None:
    """Write grid values into the quantized parameters of a derived module."""
    for name, quantizer in module._parameter_quantizers.items():
        module._parameters[name].copy_(quantizer(module._parameters[name]))
        # Grid values never move, so nothing need be remembered.
        quantizer.forget()


_ORIGINS: dict[type, tuple[tuple[type, ...], type, tuple[str, ...]]] = {}
"""Of each derived class: mixins, original class, names of quantized parameters and settled properties."""


@functools.cache
def _derived_class(mixins: tuple[type, ...], original: type, names: tuple[str, ...]) -> type:
    body: dict[str, Any] = {name: property(functools.partial(_read_quantized, name=name)) for name in names}
    body["__module__"] = __name__
    bases = (*mixins, original) if issubclass(original, Derived) else (*mixins, Derived, original)
    derived = type(f"Quantized{original.__name__}", bases, body)
    _ORIGINS[derived] = (mixins, original, names)
    return derived


def _read_quantized(module: nn.Module, *, name: str) -> Any:
    """A parameter on its grid, whose float one ``_parameters`` keep, for training; or a settled value."""
    original = module._parameters.get(name)
    if original is None:
        return module.__dict__["_settled"][name]
    return module.__dict__["_parameter_quantizers"][name](original)


def _rebuild(mixins: tuple[type, ...], original: Any, names: tuple[str, ...]) -> Any:
    derived: Any = _derived_class(mixins, original, names)
    return derived.__new__(derived)
