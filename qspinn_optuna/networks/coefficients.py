"""Thresholds and decays of neurons: constants that a device stores once for a layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

from qspinn_optuna.parameters import Family


@dataclass(frozen=True)
class Coefficient:
    """A constant of a module.

    Args:
        name: "threshold", "decay", or the name of the attribute where a module has several decays.
        family: Threshold or decay.
        value: What it is now.
        learned: Whether training changes it.
        write: Sets it in a module; not for learned ones.
    """

    name: str
    family: Family
    value: float
    learned: bool = False
    write: Callable[[Any, float], None] | None = None


def coefficients(module: nn.Module) -> tuple[Coefficient, ...]:
    """The thresholds and decays of ``module``; thresholds of one number only.

    A module of the user's own tells the attributes that hold its decays by ``decay_names`` in its class.
    """
    found = []
    threshold = getattr(module, "v_threshold", None)
    if isinstance(threshold, float | int) and not isinstance(threshold, bool):
        found.append(Coefficient("threshold", Family.THRESHOLD, float(threshold), write=partial(_set, "v_threshold")))
    decay_names = ("c_decay", "v_decay") if isinstance(module, neuron.CUBALIFNode) else _own_decays(module)
    if decay_names:
        found += [
            Coefficient(name, Family.DECAY, float(getattr(module, name)), write=partial(_set, name))
            for name in decay_names
        ]
    elif isinstance(module, neuron.ParametricLIFNode | layer.SynapseFilter) and isinstance(
        getattr(module, "w", None), Tensor
    ):
        found.append(Coefficient("decay", Family.DECAY, 1 - float(module.w.detach().sigmoid()), learned=True))
    elif isinstance(module, _WITH_TIME_CONSTANT) and isinstance(module.tau, float | int):
        found.append(Coefficient("decay", Family.DECAY, 1 - 1 / float(module.tau), write=_set_time_constant))
    return tuple(found)


LEARNED_DECAY = "w"
"""Attribute of a trained decay 1 - sigmoid(w)."""

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


def _set_time_constant(module: Any, decay: float) -> None:
    module.tau = math.inf if decay >= 1 else 1 / (1 - decay)


def _set(name: str, module: Any, value: float) -> None:
    setattr(module, name, value)


def _own_decays(module: nn.Module) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(type(module), "decay_names", ())
    return names
