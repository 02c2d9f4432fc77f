"""Buffers with which a network prepares its input, and others."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import Tensor, nn

from qspinn_optuna.networks import calibrate

PIXELS = torch.randint(0, 256, (7, 6), generator=torch.Generator().manual_seed(1)) / 255


class Standardizing(nn.Module):
    mean: Tensor
    std: Tensor

    def __init__(self, *, entry: bool = False, later: str = "") -> None:
        super().__init__()
        torch.manual_seed(3)
        self.entry, self.later = entry, later
        self.node, self.layer, self.lif = neuron.LIFNode(v_threshold=0.3), nn.Linear(6, 6), neuron.LIFNode()
        self.head = nn.Linear(6, 2)
        self.register_buffer("mean", torch.full((6,), 0.13))
        self.register_buffer("std", torch.full((6,), 0.31))

    def forward(self, x: Tensor) -> Any:
        x = (x - self.mean) / self.std
        current = self.layer(self.node(x) if self.entry else x)
        if self.later == "current":
            current = current * self.std
        spikes = self.lif(current)
        return self.head(spikes * self.std if self.later == "spikes" else spikes)


def told(network: nn.Module) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        calibrate(network, [PIXELS])
    return [str(each.message) for each in found if "buffers" in str(each.message)]


@pytest.mark.parametrize(("entry", "taker"), [(False, "layer.input"), (True, "node.input")])
def test_buffers_that_prepare_the_input_are_told_as_such_and_once(entry: bool, taker: str) -> None:
    network = Standardizing(entry=entry)
    if not entry:
        network.node = nn.Identity()
    (message,) = told(network)
    assert message.startswith(f"The buffers ['mean', 'std'] prepare the input in floating point, of which ['{taker}']")


@pytest.mark.parametrize("later", ["current", "spikes"])
def test_buffers_that_a_device_needs_later_are_neither_quantized_nor_counted(later: str) -> None:
    network = Standardizing(later=later)
    network.node = nn.Identity()
    prepared, others = told(network)
    assert prepared.startswith("The buffers ['mean'] prepare")
    assert others.startswith("The buffers ['std'] are neither quantized nor counted")


def test_buffers_before_inputs_on_a_grid_are_no_preparation() -> None:
    """Without a parameter that rounds what they make, nothing says that the device gets it."""

    class Shifted(Standardizing):
        def forward(self, x: Tensor) -> Any:
            return self.head(self.lif(self.layer((x > 0.5) + self.mean)))

    network = Shifted()
    network.mean = torch.full((6,), 0.25)
    (message,) = told(network)
    assert "neither quantized nor counted" in message
