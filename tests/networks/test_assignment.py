"""States that are assigned between steps are on their grids."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import base, functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import InexactError
from qspinn_optuna.fixed_point import Rounding
from qspinn_optuna.networks import check_exact, freeze_network, quantize_network
from qspinn_optuna.parameters import Family
from tests.networks.builders import FORMATS, config_of, eighths, on_grid

MEMBRANE = FORMATS[Family.MEMBRANE]


class OwnNeuron(base.MemoryModule):  # type: ignore[misc]
    """Assigns its state twice in a step: rounding in between would change it."""

    v: Any

    def __init__(self) -> None:
        super().__init__()
        self.register_memory("v", 0.0)

    def single_step_forward(self, x: Tensor) -> Tensor:
        self.v = self.v + x * 0.03125
        self.v = self.v + x * 0.03125
        spikes: Tensor = (self.v >= 1).to(x)
        return spikes


class Forwarding(OwnNeuron):
    """Its steps are in a forward of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return self.single_step_forward(x)


KINDS: dict[str, Callable[[], nn.Module]] = {
    "lif": lambda: neuron.LIFNode(v_threshold=4.0),
    "current": lambda: neuron.CUBALIFNode(c_decay=0.5, v_decay=0.5),
    "quadratic": neuron.QIFNode,
    "own": OwnNeuron,
    "own forward": Forwarding,
}


def quantized(kind: str, rounding: Rounding = Rounding.NEAREST) -> Any:
    network = nn.Sequential(KINDS[kind](), nn.Linear(3, 2))
    return quantize_network(network, config_of(network, rounding))


def nearest(values: Tensor) -> Tensor:
    """On the grid of membranes, by its definition."""
    codes = torch.floor(values * 2.0**MEMBRANE.fraction_bits + 0.5).clamp(MEMBRANE.min_code, MEMBRANE.max_code)
    return codes / 2.0**MEMBRANE.fraction_bits


VALUES = torch.tensor([[0.3, -0.49, 9.0], [1 / 32, 1 / 33, -9.0]])


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_an_assigned_state_is_on_the_grid_at_once(kind: str, frozen: bool) -> None:
    network = freeze_network(quantized(kind)) if frozen else quantized(kind)
    copies: list[Any] = [network, copy.deepcopy(network), pickle.loads(pickle.dumps(network))]
    for copied in copies:
        copied(torch.ones(2, 3))
        copied[0].v = VALUES
        assert torch.equal(copied[0].v, nearest(VALUES))
        copied[0].v *= 0.3
        assert torch.equal(copied[0].v, nearest(nearest(VALUES) * 0.3))


@pytest.mark.parametrize("rounding", Rounding)
def test_it_is_rounded_as_after_a_step_with_its_gradient(rounding: Rounding) -> None:
    network = quantized("lif", rounding)
    network(torch.ones(2, 3))
    values = torch.full((2, 3), 0.3, requires_grad=True)
    network[0].v = values * 0.5
    v = network[0].v
    assert on_grid(v, MEMBRANE)
    assert bool(((v - 0.15).abs() < MEMBRANE.resolution).all())
    if rounding is Rounding.TRUNCATION:
        assert bool((v <= 0.15).all())
    v.sum().backward()
    assert torch.equal(values.grad, torch.full((2, 3), 0.5))  # type: ignore[arg-type]


def test_a_number_is_rounded_to_nearest_and_is_where_the_next_step_begins() -> None:
    network = quantized("lif")
    network[0].v = 0.3
    assert network[0].v == 0.3125
    network(torch.zeros(2, 3))
    decay = 1 - 1 / network[0].tau
    assert torch.equal(network[0].v, nearest(torch.full((2, 3), 0.3125 * decay)))
    functional.reset_net(network)
    assert network[0].v == 0.0
    network(torch.zeros(2, 3))
    assert not bool(network[0].v.any())


@pytest.mark.parametrize("kind", ["own", "own forward"])
def test_what_a_step_assigns_is_rounded_once_when_it_is_over(kind: str) -> None:
    """A grid of 1/16 holds two times 1/32, of which one alone would become 1/16 or 0."""
    network = quantized(kind)
    network(torch.ones(1, 3))
    assert torch.equal(network[0].v, torch.full((1, 3), 0.0625))
    network[0].single_step_forward(torch.ones(1, 3))
    assert torch.equal(network[0].v, torch.full((1, 3), 0.125))
    with pytest.raises(TypeError):
        network[0]()
    network[0].v = VALUES
    assert torch.equal(network[0].v, nearest(VALUES))


def test_networks_that_assign_states_in_forward_compute_with_grid_values() -> None:
    class Halving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(3)
            self.first, self.lif, self.last = layer.Linear(4, 3), neuron.LIFNode(v_threshold=0.5), layer.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            out = torch.zeros(len(x), 2)
            for _ in range(4):
                out = out + self.last(self.lif(self.first(x)))
                self.lif.v = self.lif.v * 0.3
                seen.append(self.lif.v)
            return out

    seen: list[Tensor] = []
    network = Halving()
    frozen = freeze_network(quantize_network(network, config_of(network)))
    frozen(eighths(5, 4))
    assert len(seen) == 4
    assert all(on_grid(value, MEMBRANE) for value in seen)
    functional.reset_net(frozen)
    check_exact(frozen, eighths(5, 4))


def test_a_value_that_no_format_has_is_refused_by_name() -> None:
    network = quantized("lif")
    network(torch.ones(2, 3))
    with pytest.raises(InexactError, match=r"^0\.v cannot be stored"):
        network[0].v = torch.full((2, 3), math.nan)
