"""Sample the membrane potentials of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qspinn_optuna.networks.modules.support import check_supported
from qspinn_optuna.networks.running.batches import Inputs, as_inputs
from qspinn_optuna.networks.running.reach import reach_of
from qspinn_optuna.networks.running.watching import run, watched

_MEMBRANE = "v"
"""SpikingJelly's name of the potential among the states of a neuron."""


def membrane_values(
    network: nn.Module, inputs: Inputs, *, maximum: int = 20_000, seed: int = 0
) -> dict[str, NDArray[Any]]:
    """The membrane potentials of every layer of neurons over all time steps of one run.

    They are the potentials that neurons store after each step, and in most classes the fresh ones before the first step
    too, as :func:`~qspinn_optuna.networks.calibrate` sees them. For equal shapes and seeds the same neurons and steps
    are sampled, so that a float network and its quantized copy can be compared value by value.

    Args:
        network: Any supported network, or what ``quantize_network`` made of it. It is left untouched.
        inputs: A batch as the network takes it; a tuple for several inputs.
        maximum: Of values a layer; more are sampled.
        seed: Of the sample.

    Returns:
        Values by name, such as "lif1.v", 1-D, float32 for float32 networks.

    Raises:
        TypeError: If ``network`` is no module or ``inputs`` no tensors.
        ValueError: If a module is not supported, no layer has a membrane, ``maximum`` is under 1, or a value is not
            finite.
    """
    check_supported(network, ())
    inputs = as_inputs(inputs, "inputs")
    if isinstance(maximum, bool) or not isinstance(maximum, int) or maximum < 1:
        raise ValueError(f"maximum must be an integer of at least 1, got {maximum!r}.")
    check_supported(network, reach_of(network, inputs).modules)
    generator = torch.Generator().manual_seed(seed)
    collected: dict[str, list[Tensor]] = {}

    def collect(name: str, value: Tensor) -> None:
        if name.rpartition(".")[2] == _MEMBRANE:
            collected.setdefault(name, []).append(_sampled(value.flatten().cpu().clone(), maximum, generator))

    run(watched(network, collect), inputs)
    if not collected:
        raise ValueError("network must have a layer of neurons with a membrane potential 'v', got none that ran.")
    values = {name: _sampled(torch.cat(parts), maximum, generator) for name, parts in collected.items()}
    return {name: _finite(name, value) for name, value in values.items()}


def _sampled(values: Tensor, maximum: int, generator: torch.Generator) -> Tensor:
    """All values if there are at most ``maximum``, else as many of them, without repetition."""
    if len(values) <= maximum:
        return values
    return values[torch.randperm(len(values), generator=generator)[:maximum]]


def _finite(name: str, values: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = values.numpy()
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite: are the inputs?")
    return array
