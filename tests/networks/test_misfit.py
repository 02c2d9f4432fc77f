"""A layer that does not take its input is named, with what it takes and what it got."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.networks import calibrate, find_parameters, fold_batch_norm
from qspinn_optuna.networks.running.batches import call
from qspinn_optuna.workloads.supervised import SupervisedWorkload, fit


def multi_step(*layers: nn.Module) -> nn.Module:
    network = nn.Sequential(*layers)
    functional.set_step_mode(network, "m")
    return network


def workload(network: nn.Module, x: Tensor, **changes: Any) -> SupervisedWorkload:
    batches = [(x, torch.zeros(len(x), dtype=torch.int64))]
    return SupervisedWorkload(network, calibration=batches, validation=batches, **{"train": None, **changes})


ENTRIES: dict[str, Callable[[nn.Module, Tensor], object]] = {
    "calibrate": lambda network, x: calibrate(network, [x]),
    "find_parameters": find_parameters,
    "fold_batch_norm": fold_batch_norm,
    "workload": lambda network, x: workload(network, x).parameters,
    "training": lambda network, x: (
        workload(
            network,
            x,
            train=partial(
                fit, batches=[(x, torch.zeros(5, dtype=torch.int64))], epochs=1, learning_rate=0.1, progress=False
            ),
        ).baseline
    ),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_samples_with_another_number_of_features_name_the_layer(entry: str) -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), neuron.LIFNode(), nn.Linear(3, 2))
    expected = r"0 \(Linear\) takes inputs of the shape \[\.\.\., 4\], got \[5, 6\]\. The error was: mat1 and mat2"
    with pytest.raises(ValueError, match=expected):
        ENTRIES[entry](network, torch.ones(5, 6))


MISFITS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "channels": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3)), (5, 1, 8, 8), "0 (Conv2d): [batch, 2, height, width]"),
    "dimensions": (lambda: nn.Sequential(nn.Conv1d(2, 3, 3)), (8, 8), "0 (Conv1d): [batch, 2, length]"),
    "no batch, no channels": (
        lambda: nn.ConvTranspose2d(8, 3, 3),
        (2, 8),
        "it (ConvTranspose2d): [batch, 8, height, width]",
    ),
    "depth": (lambda: nn.Conv3d(1, 3, 3), (5, 2, 8, 8, 8), "it (Conv3d): [batch, 1, depth, height, width]"),
    "norm": (lambda: nn.BatchNorm2d(4), (5, 3, 8, 8), "it (BatchNorm2d): [batch, 4, ...]"),
    "steps": (
        lambda: multi_step(layer.Conv2d(2, 3, 3)),
        (4, 5, 1, 8, 8),
        "0 (Conv2d): [steps, batch, 2, height, width]",
    ),
    "no steps": (
        lambda: multi_step(layer.Conv2d(2, 3, 3)),
        (5, 2, 8, 8),
        "0 (Conv2d): [steps, batch, 2, height, width]",
    ),
    "norm over steps": (
        lambda: multi_step(layer.Linear(3, 2), layer.BatchNorm1d(3)),
        (4, 5, 3),
        "1 (BatchNorm1d): [steps, batch, 3, ...]",
    ),
    "after flattening": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3)),
        (5, 1, 10, 10),
        "2 (Linear): [..., 72]",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_layers_tell_what_they_take(name: str) -> None:
    make, shape, told = MISFITS[name]
    layer_name, _, layout = told.partition(": ")
    expected = f"The network does not take these inputs: {layer_name} takes inputs of the shape {layout}, got ["
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}"):
        call(make().eval(), torch.ones(shape))


class Failing(nn.Module):
    """Its layers fit; it fails by itself."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.linear, self.error = nn.Linear(4, 3), error

    def forward(self, x: Tensor) -> Tensor:
        self.linear(x)
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("own"), ValueError("own"), TypeError("own")])
def test_other_failures_are_left_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error), match=r"^own$"):
        call(Failing(error), torch.ones(5, 4))


def test_a_kernel_larger_than_its_input_is_no_matter_of_features() -> None:
    with pytest.raises(RuntimeError, match=r"^Calculated padded input size"):
        call(nn.Conv2d(1, 2, 5), torch.ones(5, 1, 3, 3))
