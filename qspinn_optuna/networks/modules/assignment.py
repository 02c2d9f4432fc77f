"""States that code outside of a step assigns, such as ``lif.v = lif.v * 0.5`` between steps, are stored too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from qspinn_optuna.fixed_point import ParameterQuantization, Rounding, quantize
from qspinn_optuna.networks.modules.derivation import derive

_IN_STEP = "_in_step"


class _AssignedStates:
    """Mixin of modules with quantized states, which puts what is assigned to a state on its grid at once.

    A tensor is rounded as after a step, with its gradient straight through; a number to nearest, as resets are.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if name in own.get("_memories", ()) and not own.get(_IN_STEP):
            value = self._assigned(name, value)
        super().__setattr__(name, value)

    def _assigned(self, name: str, value: Any) -> Any:
        states: dict[str, ParameterQuantization] = self.__dict__["_assigned_states"]
        if name not in states:
            return value
        if isinstance(value, int | float):
            return float(quantize(torch.tensor(float(value)), states[name].format, Rounding.NEAREST))
        if not (isinstance(value, Tensor) and value.is_floating_point()):
            return value
        return self.__dict__["_store_assigned"](name, value)


class _AssigningSteps(_AssignedStates):
    """Mixin for modules whose own steps assign states, which are rounded when the step is over."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _in_step(self):
            return super().__call__(*args, **kwargs)  # type: ignore[misc]

    def single_step_forward(self, *args: Any, **kwargs: Any) -> Any:
        with _in_step(self):
            return super().single_step_forward(*args, **kwargs)  # type: ignore[misc]


def store_assigned(module: Any) -> None:
    """Let states that are assigned to a quantized module be stored in their formats, in place."""
    quantization = module.__dict__.get("_quantization")
    own = quantization is None
    rounded = module.__dict__["_state_transform"] if own else quantization
    derive(module, _AssigningSteps if own else _AssignedStates)
    module.__dict__["_assigned_states"] = rounded.states
    module.__dict__["_store_assigned"] = rounded if own else quantization.store


@contextlib.contextmanager
def _in_step(module: Any) -> Iterator[None]:
    before = module.__dict__.get(_IN_STEP, False)
    module.__dict__[_IN_STEP] = True
    try:
        yield
    finally:
        module.__dict__[_IN_STEP] = before
