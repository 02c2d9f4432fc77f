"""Thresholds and decays of neurons: constants that a device stores once for a layer, or once a channel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

from qspinn_optuna.networks.modules.constants import constant, is_computed, is_settled, set_constant
from qspinn_optuna.networks.modules.derivation import derive
from qspinn_optuna.networks.modules.fixed_point_classes import LEARNED_DECAY, takes_fixed_point_step
from qspinn_optuna.networks.modules.integrate_and_fire import never_fires
from qspinn_optuna.parameters import Family


@dataclass(frozen=True, eq=False)
class Coefficient:
    """A constant of a module, one number or one a channel.

    Args:
        name: "threshold", "decay", or the name of the attribute where a module has several decays.
        family: Threshold or decay.
        values: What it is now, float64, a scalar unless there are several.
        attribute: The attribute of the module that it is read from.
        learned: Whether training changes it.
        write: Sets it in a module; not for learned ones.
    """

    name: str
    family: Family
    values: Tensor
    attribute: str
    learned: bool = False
    write: Callable[[Any, Tensor], None] | None = None


def coefficients(module: nn.Module) -> tuple[Coefficient, ...]:
    """The thresholds and decays of ``module``, whatever their types; see :func:`~.constants.constant`.

    Not those that are trained parameters, which are stored as such, or that a property computes from parameters or
    states, see :func:`~.constants.is_settled`, and no infinite threshold, which a device does not store. A decay that
    is a parameter ``w`` is one if the fixed-point step reads it. A module of the user's own tells the attributes that
    hold its decays by ``decay_names`` in its class.
    """
    found = []
    threshold = _held(module, "v_threshold")
    if threshold is not None and _is_stored(threshold):
        write = partial(_set, "v_threshold")
        found.append(Coefficient("threshold", Family.THRESHOLD, threshold, "v_threshold", write=write))
    if decay_names := _decay_names(module):
        for name in decay_names:
            decay = _held(module, name)
            if decay is not None:
                found.append(Coefficient(name, Family.DECAY, decay, name, write=partial(_set, name)))
    elif (trained := module._parameters.get(LEARNED_DECAY)) is not None:
        if _has_learned_decay(module):
            decay = torch.tensor(1 - float(trained.detach().sigmoid()), dtype=torch.float64)
            found.append(Coefficient("decay", Family.DECAY, decay, LEARNED_DECAY, learned=True))
    elif isinstance(module, _WITH_TIME_CONSTANT):
        tau = _held(module, "tau")
        if tau is not None:
            found.append(Coefficient("decay", Family.DECAY, 1 - 1 / tau, "tau", write=_set_time_constant))
    return tuple(found)


def unreadable_coefficient(module: nn.Module) -> str | None:
    """Why a coefficient of a module with states cannot be read, if there is such a one."""
    expected = [*_decay_names(module), *(name for name in ("v_threshold", "v_reset", "tau") if hasattr(module, name))]
    for name in expected:
        value = getattr(module, name, None)
        if value is None and name == "v_reset":
            continue
        values = constant(value)
        if values is None:
            return f"its {name} must be a number or a tensor of numbers, got {type(value).__name__}"
        if bool(values.isnan().any()) or (name == "tau" and bool((values == 0).any())):
            return f"its {name} must be a number other than {'0 and ' if name == 'tau' else ''}NaN, got {value}"
    return _reason_against_threshold(module)


def computed_coefficients(module: nn.Module) -> list[str]:
    """Thresholds and decays that properties compute anew, so that they are neither quantized nor counted."""
    names = [*_decay_names(module), "v_threshold", *(["tau"] if isinstance(module, _WITH_TIME_CONSTANT) else [])]
    return [name for name in names if is_computed(module, name) and not is_settled(module, name)]


_WITH_TIME_CONSTANT = (
    neuron.LIFNode,
    neuron.SimpleLIFNode,
    neuron.TernaryLIFNode,
    neuron.KLIFNode,
    neuron.ComplementaryLIFNode,
    neuron.QIFNode,
    neuron.EIFNode,
    neuron.IzhikevichNode,
    layer.SynapseFilter,
)
"""Modules that keep 1 - 1 / tau of a state in a step."""


def _held(module: nn.Module, name: str) -> Tensor | None:
    """Numbers that the module holds in an attribute and that others can take the place of."""
    if name in module._parameters or (is_computed(module, name) and not is_settled(module, name)):
        return None
    return constant(getattr(module, name, None))


def _decay_names(module: nn.Module) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(type(module), "decay_names", ())
    return ("c_decay", "v_decay") if isinstance(module, neuron.CUBALIFNode) else names


def _has_learned_decay(module: nn.Module) -> bool:
    learns = isinstance(module, neuron.ParametricLIFNode | layer.SynapseFilter)
    return learns and ("_quantization" in module.__dict__ or takes_fixed_point_step(module))


def _is_infinite(threshold: Tensor) -> bool:
    return threshold.ndim == 0 and float(threshold) == math.inf


def _is_stored(threshold: Tensor) -> bool:
    return threshold.ndim > 0 or not never_fires(float(threshold))


def _reason_against_threshold(module: nn.Module) -> str | None:
    threshold = constant(getattr(module, "v_threshold", None))
    if threshold is None or bool(threshold.isfinite().all()):
        return None
    if not _is_infinite(threshold):
        return f"its v_threshold must be finite, or inf for neurons that never fire, got {threshold.tolist()}"
    if getattr(module, "v_reset", 0.0) is None:
        return "its v_threshold is infinite and its v_reset None, so that it computes inf * 0; set v_reset=0.0"
    return None


def _set_time_constant(module: Any, decay: Tensor) -> None:
    _set("tau", module, torch.where(decay >= 1, math.inf, 1 / (1 - decay.double())))


def _set(name: str, module: Any, values: Tensor) -> None:
    if is_computed(module, name):
        is_tensor = isinstance(getattr(module, name), Tensor)
        derive(module, settled={name: values.float() if is_tensor or values.ndim else float(values)})
    else:
        set_constant(module, name, values)
