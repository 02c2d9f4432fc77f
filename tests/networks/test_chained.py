"""Synapses that take sums of other synapses: what they take is rounded once it has too many digits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import Scheme
from qspinn_optuna.fixed_point import Rounding, quantize
from qspinn_optuna.networks import calibrate, check_exact, freeze_network, quantize_network
from qspinn_optuna.parameters import Family
from qspinn_optuna.space import QuantizationSpace

STEPS, BATCH, INPUTS, WIDTH = 3, 5, 6, 8
CHAINED = {"blocks.1.shortcut.input", "blocks.2.shortcut.input"}


class Block(nn.Module):
    """A membrane shortcut with a layer of its own: spikes go through one, the sum through the other."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.lif = neuron.LIFNode(v_threshold=0.25)
        self.layer = layer.Linear(inputs, WIDTH, bias=False)
        self.shortcut = layer.Linear(inputs, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.layer(self.lif(x)) + self.shortcut(x)
        return total


class Shortcuts(nn.Module):
    """Three such blocks; in step mode 's' a loop over the steps."""

    def __init__(self, step_mode: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.Sequential(Block(INPUTS), Block(WIDTH), Block(WIDTH))
        self.lif = neuron.LIFNode(v_threshold=0.25)
        functional.set_step_mode(self, step_mode)

    def forward(self, x: Tensor) -> Any:
        if self.lif.step_mode == "m":
            return self.lif(self.blocks(x)).mean(0)
        return torch.stack([self.lif(self.blocks(step)) for step in x]).mean(0)


def frames() -> Tensor:
    return torch.randint(0, 256, (STEPS, BATCH, INPUTS), generator=torch.Generator().manual_seed(1)) / 256


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_sums_that_layers_take_are_parameters_of_one_sample_and_step(step_mode: str) -> None:
    specs = {spec.name: spec for spec in calibrate(Shortcuts(step_mode), [frames()])}
    assert {name for name, spec in specs.items() if spec.family is Family.INPUT} == CHAINED
    assert {specs[name].count for name in CHAINED} == {WIDTH}
    assert all(spec.max_bits >= 8 for spec in specs.values() if spec.family is Family.WEIGHT)


@pytest.mark.parametrize("rounding", Rounding)
def test_every_width_is_exact(rounding: Rounding) -> None:
    specs = calibrate(Shortcuts("m"), [frames()])
    for bits in (2, 5, 8):
        config = QuantizationSpace(specs, bits=(2, 8)).uniform(bits, Scheme.PTQ, rounding)
        check_exact(freeze_network(quantize_network(Shortcuts("m"), config)), frames())


def test_a_layer_takes_grid_values() -> None:
    network: Any = Shortcuts("m")
    specs = calibrate(network, [frames()])
    config = QuantizationSpace(specs, bits=(2, 8)).uniform(4, Scheme.PTQ, Rounding.NEAREST)
    quantized: Any = quantize_network(network, config)
    shortcut = quantized.blocks[1].shortcut
    x = torch.randn(STEPS, BATCH, WIDTH, generator=torch.Generator().manual_seed(2))
    on_grid = quantize(x, config["blocks.1.shortcut.input"].format, Rounding.NEAREST)
    assert torch.equal(shortcut(x), on_grid @ shortcut.weight.T)
    assert not torch.equal(on_grid, x)


def test_a_chain_that_is_exact_without_keeps_its_parameters() -> None:
    network = nn.Sequential(layer.Linear(2, 2, bias=False), layer.Linear(2, 2, bias=False), neuron.IFNode())
    specs = calibrate(network, [torch.ones(3, 2)])
    assert all(spec.family is not Family.INPUT for spec in specs)
