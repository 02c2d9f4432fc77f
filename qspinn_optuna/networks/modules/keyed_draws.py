"""What the states and inputs of a quantized network draw: in training anew, else by key, so that a device repeats it.

A draw is that of :mod:`~qspinn_optuna.fixed_point.draws` for (seed, name, sample, step, element):

- the purpose is that of the full name of the state or input, such as "lif1.v", "input" or "conv2.input"; where several
  tensors enter, the second is called "input[1]", and so on,
- samples have the numbers that :func:`~.presentation.sample_numbers` gives, else 0, 1, ... along the first dimension: a
  network with a parameter "input" that takes [steps, samples, ...] needs numbers, or its steps are counted instead,
- steps are counted from 0 since the last reset of the module, one for each time step in both step modes. Fresh states,
  which are rounded before the first step, have step -1, that is 2**64 - 1. Inputs count how often they were read since
  states of the network were reset, see :func:`input_steps`; without states there is no time, and all are of step 0,
- the element is the flat index, in C order, within one sample's state, or input, at that step;
  :class:`~qspinn_optuna.fixed_point.keyed_rounding.BatchLayout` finds the samples in tensors that do not begin with
  them: they may share the first dimension with tokens, [samples * tokens, ...], or come second, [tokens, samples, ...].

Shapes alone do not always tell: [tokens, samples, ...] of as many tokens as samples is taken to begin with samples, and
[samples * tokens, channels] of as many channels as samples to end with them. Such a batch draws other numbers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qspinn_optuna.fixed_point.draws import layer_key
from qspinn_optuna.fixed_point.keyed_rounding import KeyedDraws
from qspinn_optuna.fixed_point.simulated_rounding import Draws
from qspinn_optuna.networks.modules.presentation import Presentation
from qspinn_optuna.networks.modules.steps import current_step

_key = functools.cache(layer_key)


@dataclass(eq=False)
class DrawSource:
    """Where a state, or an input, of a module takes its draws from.

    Args:
        name: Full name of the state or input.
        module: Whose it is. It draws anew while it is trained with gradients, else by key.
        seed: Of the keys.
        generator: Of the draws in training.
        presentation: Of the network.
    """

    name: str
    module: nn.Module
    seed: int
    generator: torch.Generator
    presentation: Presentation

    def __post_init__(self) -> None:
        self.presentation.join(self.module)

    @property
    def is_keyed(self) -> bool:
        """Whether draws are by key now."""
        return not (self.module.training and torch.is_grad_enabled())

    def at(self, step: int, array: int = 0) -> Draws:
        """The draws of a step.

        Args:
            step: Its number.
            array: Number of the array, where a name stands for several.
        """
        if not self.is_keyed:
            return self.generator
        name = f"{self.name}[{array}]" if array else self.name
        return KeyedDraws(_key(self.seed, name), step, self.presentation.numbers)

    def now(self) -> Draws:
        """The draws of the step that the module takes."""
        return self.at(current_step(self.module))


def input_steps(value: Tensor, presentation: Presentation) -> Tensor | None:
    """What enters a network, or a layer that knows of no steps, as a view [steps, samples, ...].

    Returns:
        The view; None if ``value`` is of one step, such as [samples, ...], whatever its further dimensions, or the
        numbers of the samples are not known.
    """
    if presentation.numbers is None or value.ndim == 0:
        return None
    samples, shape = len(presentation.numbers), value.shape
    if shape[0] == samples:
        return None
    if shape[1:2] == (samples,):
        return value
    if presentation.time_first and samples not in shape and shape[0] % samples == 0:
        return value.reshape(-1, samples, *shape[1:])
    return None
