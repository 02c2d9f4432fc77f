"""Which neurons and filters have a step in fixed point, as far as their class and their coefficients tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from spikingjelly.activation_based import base, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.networks.modules.constants import constant, is_computed, is_settled


@dataclass(frozen=True)
class FixedPointClass:
    """What the fixed-point step of a class of SpikingJelly's knows.

    Args:
        states: Names of its states.
        attributes: Names of the attributes that hold its coefficients.
    """

    states: tuple[str, ...]
    attributes: tuple[str, ...]


_NEURON = ("v_threshold", "v_reset", "detach_reset", "surrogate_function")
_LEAKY = (*_NEURON, "tau", "decay_input")

FIXED_POINT_CLASSES: dict[type[nn.Module], FixedPointClass] = {
    neuron.IFNode: FixedPointClass(("v",), _NEURON),
    neuron.SimpleIFNode: FixedPointClass(("v",), _NEURON),
    neuron.HalfThresholdIFNode: FixedPointClass(("v",), _NEURON),
    neuron.LIFNode: FixedPointClass(("v",), _LEAKY),
    neuron.SimpleLIFNode: FixedPointClass(("v",), _LEAKY),
    neuron.ParametricLIFNode: FixedPointClass(("v",), (*_NEURON, "w", "decay_input")),
    neuron.TernaryIFNode: FixedPointClass(("v",), _NEURON),
    neuron.TernaryLIFNode: FixedPointClass(("v",), _LEAKY),
    neuron.CUBALIFNode: FixedPointClass(("v", "c"), (*_NEURON, "c_decay", "v_decay")),
    layer.SynapseFilter: FixedPointClass(("out_i",), ("tau", "w", "learnable")),
}
"""The classes whose step has a fixed-point twin."""

LEARNED_DECAY = "w"
"""Attribute of a trained decay 1 - sigmoid(w)."""

_STEP_METHODS = frozenset(
    {
        "single_step_functional_forward",
        "single_step_forward",
        "multi_step_functional_forward",
        "multi_step_forward",
        "materialize_states",
        "forward",
        "__call__",
        "__getattr__",
        "__getattribute__",
    }
)
_SETTLED = ("tau", "v_threshold")
"""Coefficients that the fixed-point step takes from properties that compute constants."""

_NOT_OF_THE_STEP = frozenset({"store_v_seq", "extra_repr"})


def fixed_point_class(kind: type[nn.Module]) -> type[nn.Module] | None:
    """The class of :data:`FIXED_POINT_CLASSES` whose step ``kind`` has, if any.

    A subclass has another step if it overrides a method of the step, whatever the known class has beyond a
    ``MemoryModule``, such as the way it resets, or a coefficient. Properties ``tau`` and ``v_threshold`` depend on the
    module, see :func:`takes_fixed_point_step`.
    """
    for number, known in enumerate(kind.__mro__):
        if known in FIXED_POINT_CLASSES:
            own = {
                name
                for derived in kind.__mro__[:number]
                for name, value in vars(derived).items()
                if not (name in _SETTLED and isinstance(value, property))
            }
            return None if any(_belongs_to_step(name, known) for name in own) else known
    return None


def takes_fixed_point_step(module: Any) -> bool:
    """Whether a float module can be computed by the fixed-point step of its class.

    It must have that class's states and coefficients, no trained parameter beside the decay, and a step function for a
    surrogate, and nothing of the step may be replaced in the module itself. Properties among its coefficients must
    compute constants.
    """
    kind = fixed_point_class(type(module))
    if kind is None:
        return False
    known = FIXED_POINT_CLASSES[kind]
    trained = {name for name, parameter in module._parameters.items() if parameter is not None}
    decay = module._parameters.get(LEARNED_DECAY)
    reset = constant(getattr(module, "v_reset", None))
    leaky = "tau" in known.attributes
    return (
        tuple(module._memories) == known.states
        and trained <= {LEARNED_DECAY}
        and (constant(getattr(module, "tau", None)) is not None if decay is None and leaky else True)
        and (decay is None or decay.numel() == 1)
        and (reset is None or reset.ndim == 0)
        and not any(_is_method(name, kind) for name in module.__dict__)
        and all(_is_plain(module, name) for name in _SETTLED)
        and ("surrogate_function" not in known.attributes or _is_step_function(module.surrogate_function))
    )


_DISTANCES = (-3.0, -1.0, -0.25, -(2.0**-12), 0.0, 2.0**-12, 0.25, 1.0, 3.0)
"""Of potentials from the threshold, at which functions of the user's are probed."""


def _is_step_function(surrogate: Callable[[Tensor], Tensor]) -> bool:
    """Whether neurons fire one spike at the threshold and above: others put out several, or none at the threshold."""
    distances = torch.tensor(_DISTANCES)
    try:
        with torch.no_grad():
            return bool(torch.equal(surrogate(distances).float(), (distances >= 0).float()))
    except Exception:
        return False


def _is_plain(module: nn.Module, name: str) -> bool:
    """Whether an attribute is no property, or one that computes a constant."""
    is_property = isinstance(getattr(type(module), name, None), property)
    return not is_property or (is_computed(module, name) and is_settled(module, name))


def _belongs_to_step(name: str, known: type[nn.Module]) -> bool:
    return _is_method(name, known) or name in FIXED_POINT_CLASSES[known].attributes


def _is_method(name: str, known: type[nn.Module]) -> bool:
    """Whether ``name`` is an attribute of the class that takes part in the step."""
    if name in _STEP_METHODS:
        return True
    beyond = hasattr(known, name) and not hasattr(base.MemoryModule, name)
    return beyond and name not in _NOT_OF_THE_STEP
