"""Numbers that steps of the user's compute with, beside the thresholds and decays that are known by their names."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from qspinn_optuna.networks.modules.coefficients import coefficients
from qspinn_optuna.networks.modules.support import has_states
from qspinn_optuna.networks.names import join
from qspinn_optuna.networks.running.batches import Inputs
from qspinn_optuna.networks.running.recording import reads

_KNOWN = frozenset({"v_threshold", "v_reset", "tau"})
"""Of neurons of SpikingJelly's, which are quantized, or warned of elsewhere."""


def uncounted_constants(network: nn.Module, sample: Inputs) -> list[str]:
    """Attributes with numbers that modules of the user's with states read in a run, which nothing counts.

    Args:
        network: A float network; it is run once if there are candidates.
        sample: A batch as the network takes it.
    """
    candidates = {
        name: {own: join(name, own) for own in _numbers(module)}
        for name, module in network.named_modules()
        if has_states(module) and not type(module).__module__.startswith("spikingjelly.")
    }
    candidates = {name: own for name, own in candidates.items() if own}
    if not candidates:
        return []
    names = {full for own in candidates.values() for full in own.values()}
    return sorted(names & reads(network, candidates, sample))


def _numbers(module: Any) -> list[str]:
    counted = {coefficient.attribute for coefficient in coefficients(module)}
    if hasattr(module, "surrogate_function") and hasattr(module, "v_reset"):
        counted |= _KNOWN
    counted |= set(module._memories)
    return [own for own, value in module.__dict__.items() if own not in counted and _is_number(own, value)]


def _is_number(own: str, value: object) -> bool:
    if own.startswith("_"):
        return False
    return isinstance(value, float | np.floating) or (isinstance(value, Tensor) and value.is_floating_point())
