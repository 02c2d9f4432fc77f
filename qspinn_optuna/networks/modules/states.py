"""Transform the states of a module after every time step, in both of SpikingJelly's step modes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from spikingjelly.activation_based import base, neuron
from torch import Tensor, nn

from qspinn_optuna.networks.modules.derivation import derive
from qspinn_optuna.networks.modules.steps import CountedSteps

StateTransform = Callable[[str, Tensor], Tensor]
"""Takes name and value of a state after a step, returns the value that the module goes on with."""


@dataclass(frozen=True)
class _Chain:
    """One transform after the other."""

    first: StateTransform
    second: StateTransform

    def __call__(self, name: str, value: Tensor) -> Tensor:
        return self.second(name, self.first(name, value))


class _FunctionalStates(CountedSteps):
    """For modules whose step is ``single_step_functional_forward``."""

    _state_transform: StateTransform

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[object, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        self.__dict__["_stepped"] = True
        with self.counted():
            outputs, states = super().single_step_functional_forward(inputs, states, **kwargs)  # type: ignore[misc]
            transformed = self._transformed(states)
        # Some modules return a state itself: the transformed one then.
        changes_output = getattr(self._state_transform, "changes_output", True)
        pairs = zip(states, transformed, strict=True) if changes_output else ()
        identity: dict[int, Any] = {id(old): new for old, new in pairs}
        return tuple(identity.get(id(output), output) for output in outputs), transformed

    def materialize_states(
        self, inputs: tuple[Tensor, ...], states: tuple[object, ...], step_mode: str
    ) -> tuple[object, ...]:
        fresh: tuple[object, ...] = super().materialize_states(inputs, states, step_mode)  # type: ignore[misc]
        with self.before_first_step():
            return tuple(
                self._state_transform(name, new) if new is not old and isinstance(new, Tensor) else new
                for name, new, old in zip(self._memories, fresh, states, strict=True)  # type: ignore[attr-defined]
            )

    def multi_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[object, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        # NOTE: many classes, and fixed-point neurons, have a fused sequence that does not call the single step. This
        # mixin must come before theirs when one is watched, so the two share no base class.
        result: tuple[tuple[Tensor, ...], tuple[object, ...]] = base.MemoryModule.multi_step_functional_forward(
            self, inputs, states, **kwargs
        )
        return result

    def multi_step_forward(self, x_seq: Tensor, *args: Any, **kwargs: Any) -> Any:
        owner = neuron.BaseNode if isinstance(self, neuron.BaseNode) else base.MemoryModule
        return owner.multi_step_forward(self, x_seq, *args, **kwargs)

    def _transformed(self, states: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(
            self._transformed_state(name, value)
            for name, value in zip(self._memories, states, strict=True)  # type: ignore[attr-defined]
        )

    def _transformed_state(self, name: str, value: object) -> object:
        if isinstance(value, list) and value and all(isinstance(entry, Tensor) for entry in value):
            # A queue: one state with an entry a step.
            return list(self._state_transform(name, torch.stack(value, dim=1)).unbind(dim=1))
        return self._state_transform(name, value) if isinstance(value, Tensor) else value


class _AttributeStates(CountedSteps):
    """For modules whose step is ``single_step_forward``, which sets the states as attributes."""

    _state_transform: StateTransform

    def single_step_forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        memories: dict[str, Any] = self._memories  # type: ignore[attr-defined]
        self.__dict__["_stepped"] = True
        with self.counted():
            output = super().single_step_forward(x, *args, **kwargs)  # type: ignore[misc]
            for name, value in memories.items():
                if isinstance(value, Tensor):
                    transformed = self._state_transform(name, value)
                    changes_output = getattr(self._state_transform, "changes_output", True)
                    output = transformed if output is value and changes_output else output
                    memories[name] = transformed
        return output

    def multi_step_forward(self, x_seq: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return torch.stack([self.single_step_forward(x, *args, **kwargs) for x in x_seq])


class _OwnForward(CountedSteps):
    """For modules whose class has a ``forward`` of its own, which may leave out the methods that SpikingJelly calls."""

    _state_transform: StateTransform

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.__dict__["_stepped"] = False
        output = super().forward(*args, **kwargs)  # type: ignore[misc]
        return (
            output
            if self.__dict__.pop("_stepped")
            else self._after_one_step(next(iter((*args, *kwargs.values()))), output)
        )

    def _after_one_step(self, x: Tensor, output: Any) -> Any:
        memories: dict[str, Any] = self._memories  # type: ignore[attr-defined]
        states = {name: value for name, value in memories.items() if isinstance(value, Tensor)}
        kind = type(self).__name__.removeprefix("Quantized")
        if not states:
            raise ValueError(f"{kind} has a forward of its own that leaves nothing in its states {list(memories)}.")
        if any(value.ndim < x.ndim for value in states.values()):
            raise ValueError(
                f"{kind} has a forward of its own over a sequence, so that its states cannot be quantized after every "
                "step: give it a single_step_forward, and let SpikingJelly run the sequence."
            )
        changes_output = getattr(self._state_transform, "changes_output", True)
        with self.counted():
            for name, value in states.items():
                memories[name] = self._state_transform(name, value)
                output = memories[name] if output is value and changes_output else output
        return output


def has_own_forward(kind: type[nn.Module]) -> bool:
    """Whether a ``MemoryModule`` class overrides ``forward``, which calls its step by step mode."""
    return getattr(kind, "forward", None) is not base.MemoryModule.forward


def has_functional_step(kind: type[nn.Module]) -> bool:
    """Whether a ``MemoryModule`` class implements its step as a function of explicit states."""
    own = getattr(kind, "single_step_functional_forward", None)
    return own not in (
        base.MemoryModule.single_step_functional_forward,
        neuron.BaseNode.single_step_functional_forward,
    )


def has_attribute_step(kind: type[nn.Module]) -> bool:
    """Whether a ``MemoryModule`` class implements its step as a method that sets its states."""
    own = getattr(kind, "single_step_forward", None)
    return own not in (base.MemoryModule.single_step_forward, neuron.BaseNode.single_step_forward)


def transform_states(module: nn.Module, transform: StateTransform, **derive_arguments: Any) -> None:
    """Apply ``transform`` to every state of ``module`` after every step; ``module`` is changed in place.

    Args:
        module: A ``MemoryModule`` with a functional or an attribute step.
        transform: Gets each state, and returns the state that the module goes on with.
        derive_arguments: Passed on to :func:`derive`.
    """
    if "_state_transform" in module.__dict__:
        module.__dict__["_state_transform"] = _Chain(module.__dict__["_state_transform"], transform)
        return
    mixin = _FunctionalStates if has_functional_step(type(module)) else _AttributeStates
    derive(module, *([_OwnForward] if has_own_forward(type(module)) else []), mixin, **derive_arguments)
    module.__dict__["_state_transform"] = transform
