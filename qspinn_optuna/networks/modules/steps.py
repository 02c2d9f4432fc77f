"""Time steps that a module with states has taken since it was reset."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from qspinn_optuna.networks.modules.presentation import presentation_of
from qspinn_optuna.networks.modules.truncation import DetachableStates

BEFORE_FIRST = -1
"""Number of the step before the first one, in which fresh states are made."""

_STEPS = "_steps_taken"


class CountedSteps(DetachableStates):
    """Mixin of modules that count their time steps, from 0 again when SpikingJelly's ``reset_net`` resets them."""

    def reset(self) -> None:
        """Put the states back to what they were before the first step."""
        super().reset()  # type: ignore[misc]
        _begin_anew(self)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def counted(self, steps: int = 1) -> Iterator[None]:
        """A context in which so many time steps are taken, counted once however many contexts there are for a step."""
        taken = self.__dict__.get(_STEPS, 0)
        yield
        self.__dict__[_STEPS] = taken + steps

    @contextlib.contextmanager
    def before_first_step(self) -> Iterator[None]:
        """A context in which the step is the one before the first."""
        taken = self.__dict__.get(_STEPS, 0)
        self.__dict__[_STEPS] = BEFORE_FIRST
        try:
            yield
        finally:
            self.__dict__[_STEPS] = taken


def current_step(module: nn.Module) -> int:
    """Number of the step that a module takes: of steps since its last reset."""
    step: int = module.__dict__.get(_STEPS, 0)
    return step


def forget_steps(network: nn.Module) -> None:
    """Let all modules of a network count from 0 again."""
    for module in network.modules():
        _begin_anew(module)


def _begin_anew(module: nn.Module) -> None:
    module.__dict__.pop(_STEPS, None)
    presentation = presentation_of(module)
    if presentation is not None:
        presentation.resets += 1
