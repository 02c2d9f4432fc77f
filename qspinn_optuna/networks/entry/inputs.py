"""The input of a network: whether it is in fixed point already, and what a device keeps of it."""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor, nn

from qspinn_optuna.networks.running.batches import Inputs, tensors
from qspinn_optuna.networks.running.state_sizes import StateSizes
from qspinn_optuna.networks.running.watching import run, watched

INPUT = "input"
"""Name of the parameter: of the network, or of a layer or of neurons whose input is rounded."""

DIGITS_OF_SUMS = 32
"""Digits that sums of fixed-point numbers have at most, before they are rounded; what has more is a real number."""

_DIGITS_OF_DOUBLE = 53

GRID_BITS = 16
"""Digits that sensors and counters give at most; inputs of more are real numbers."""


def on_grid(values: Tensor, bits: int = GRID_BITS) -> bool:
    """Whether values are multiples of one power of two, by integers of at most ``bits`` bits and a sign.

    Args:
        values: Of any shape; integers and booleans are on a grid, whatever their size.
        bits: Digits of the largest value.
    """
    if not values.is_floating_point() or values.numel() == 0:
        return True
    largest = float(values.detach().abs().max())
    if largest == 0 or not math.isfinite(largest):
        return True
    codes = values.detach().double() * 2.0 ** (bits - math.frexp(largest)[1])
    return bool((codes == codes.round()).all())


def digits(values: Tensor) -> int:
    """Most binary digits, from the first to the last that is not 0, of any of the values; 0 if all are 0.

    Args:
        values: Finite, of any shape; computed in float64 if all digits of products shall count.
    """
    if values.numel() == 0:
        return 0
    fractions, _ = torch.frexp(values.detach().double().abs().flatten())
    codes = (fractions * 2.0**_DIGITS_OF_DOUBLE).long()
    codes = codes[codes != 0]
    if codes.numel() == 0:
        return 0
    last = torch.frexp((codes & -codes).double())[1] - 1
    return _DIGITS_OF_DOUBLE - int(last.min())


def elements_of_a_step(network: nn.Module, inputs: Inputs, sizes: StateSizes) -> int:
    """Elements of the input that a device holds at a time: those of one sample at one time step.

    A dimension is time if twice its length gives more steps. Time that shares its dimension with the batch, or that the
    network takes one length of only, is not seen: then it is all steps.

    Args:
        network: A supported network.
        inputs: A batch as the network takes it.
        sizes: Tell which dimensions are the batch.
    """
    steps = _steps(network, inputs)
    given, samples = tensors(inputs), sizes.samples(inputs)
    # Without states nothing is known of the batch.
    batches = sizes.dimensions if len(sizes.dimensions) == len(given) else (0,) * len(given)
    held = list(zip(given, batches, strict=True))
    counts = [one.numel() if batch is None or batch >= one.ndim else one.numel() // samples for one, batch in held]
    for time in range(max(one.ndim for one in given)):
        longer = tuple(one if time == batch else _twice(one, time) for one, batch in held)
        try:
            more = _steps(network, longer if isinstance(inputs, tuple) else longer[0])
        except Exception:
            # A network may refuse other lengths by any error.
            continue
        if more > steps:
            counts = [
                count // one.shape[time] if time != batch and time < one.ndim else count
                for count, (one, batch) in zip(counts, held, strict=True)
            ]
    return sum(count for count, one in zip(counts, given, strict=True) if one.is_floating_point())


def _twice(values: Tensor, dimension: int) -> Tensor:
    return torch.cat([values, values], dimension) if dimension < values.ndim else values


def _steps(network: nn.Module, inputs: Inputs) -> int:
    """Most time steps that a state takes in a run; none if there are no states."""
    seen: Counter[str] = Counter()
    run(watched(network, lambda name, _: seen.update([name])), inputs)
    return max(seen.values(), default=0)


def is_input(name: str) -> bool:
    """Whether a parameter is the input of the network, or what a layer or neurons of it take."""
    return name.rpartition(".")[2] == INPUT
