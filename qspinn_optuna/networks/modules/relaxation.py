"""What a quantized network may relax while it is trained: its gradients, and the rounding of its states."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.networks.modules.derivation import Derived

_FLOAT = ParameterQuantization(QFormat(10, 13), Rounding.NEAREST)
"""Of states that are as good as float: 23 digits, which the simulation carries."""


@contextlib.contextmanager
def unclipped_gradients(network: nn.Module) -> Iterator[None]:
    """A context in which the gradients of parameters pass straight through their formats, beyond their ends too."""
    quantizers = [
        quantizer
        for module in network.modules()
        if isinstance(module, Derived)
        for quantizer in module.__dict__["_parameter_quantizers"].values()
    ]
    before = [quantizer.clips for quantizer in quantizers]
    for quantizer in quantizers:
        quantizer.clips = False
        quantizer.forget()
    try:
        yield
    finally:
        for quantizer, clips in zip(quantizers, before, strict=True):
            quantizer.clips = clips
            quantizer.forget()


@contextlib.contextmanager
def float_states(network: nn.Module) -> Iterator[None]:
    """A context in which states keep all digits that the simulation carries."""
    formats = [states for module in network.modules() if (states := _states_of(module))]
    before = [dict(states) for states in formats]
    for states in formats:
        states.update(dict.fromkeys(states, _FLOAT))
    try:
        yield
    finally:
        for states, kept in zip(formats, before, strict=True):
            states.update(kept)


def _states_of(module: Any) -> dict[str, ParameterQuantization]:
    """Formats of the states of a module, which its steps look up."""
    rounded = module.__dict__.get("_quantization") or module.__dict__.get("_state_transform")
    return getattr(rounded, "states", {})
