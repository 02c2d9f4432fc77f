"""Functions that fixed point does not have: refused by name where the network computes with them, and only there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from spikingjelly.activation_based import functional, neuron
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from qspinn_optuna.networks import calibrate
from qspinn_optuna.networks.modules.support import UnsupportedNetworkError

Function = Callable[[Tensor], Tensor]
SPIKES = (torch.rand((4, 5, 8), generator=torch.Generator().manual_seed(0)) < 0.5).float()


class Tokens(nn.Module):
    """Two layers of neurons on tokens, [batch, tokens, 8], with a function before the second and at either end."""

    def __init__(self, between: Function, first: Function | None = None, last: Function | None = None) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.first, self.second, self.scores = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        for parameter in self.parameters():
            parameter.data = torch.rand(parameter.shape, generator=generator) - 0.3
        self.spiking, self.taking = neuron.LIFNode(), neuron.LIFNode()
        self.functions = first or nn.Identity(), between, last or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        prepare, between, finish = self.functions
        functional.reset_net(self)
        spikes = [self.taking(between(self.second(self.spiking(self.first(prepare(x)))))) for _ in range(3)]
        total = self.scores(sum(spikes, torch.zeros(()))).mean(1)
        return finish(total)


def attention(x: Tensor) -> Tensor:
    mixed: Tensor = F.softmax(x @ x.transpose(-1, -2), -1) @ x
    return mixed


@pytest.mark.parametrize(
    ("between", "name"),
    [
        (attention, "softmax"),
        (lambda x: F.layer_norm(x, (8,)), "layer normalization"),
        (torch.tanh, "tanh"),
        (lambda x: 2 * torch.sigmoid(x), "sigmoid"),
        (lambda x: F.gelu(x) + x, "gelu"),
        (lambda x: x.exp() - 1, "exp"),
    ],
)
def test_what_the_network_computes_with_them_is_refused_by_name(between: Function, name: str) -> None:
    with pytest.raises(UnsupportedNetworkError, match=f"taking takes an? {name} of what the network has computed"):
        calibrate(Tokens(between), [SPIKES])


def test_a_layer_that_no_width_makes_exact_is_refused_by_the_name_of_the_function() -> None:
    class Layers(Tokens):
        def forward(self, x: Tensor) -> Tensor:
            functional.reset_net(self)
            total: Tensor = self.scores(self.taking(self.second(torch.tanh(self.first(self.spiking(x)))))).mean(1)
            return total

    with pytest.raises(UnsupportedNetworkError, match="second takes a tanh of what the network has computed"):
        calibrate(Layers(torch.tanh), [SPIKES])


def test_preparations_of_the_input_and_constants_and_final_scores_are_none_of_it() -> None:
    gate = torch.tensor(0.3)
    network = Tokens(lambda x: x * torch.sigmoid(gate), first=torch.tanh, last=lambda x: F.softmax(x, -1))
    names = [spec.name for spec in calibrate(network, [torch.randn(SPIKES.shape)])]
    assert "taking.input" in names
