"""Random networks of convolutions, shortcuts, pools and recurrence, in both step modes, in coarse formats."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.fixed_point import QFormat, Rounding
from qspinn_optuna.parameters import Family
from tests.networks.capture.comparison import configured
from tests.networks.capture.networks import CLASSES, counts, gaussian, scaled

FILTERS = 4
_AVERAGES = range(3, 100)
_POOLS: tuple[Callable[[], nn.Module], ...] = (
    nn.Identity,
    lambda: layer.MaxPool2d(2, stride=1),
    lambda: layer.MaxPool2d(3, stride=2, padding=1),
    lambda: layer.AvgPool2d(2, stride=1, padding=1),
    lambda: layer.AdaptiveAvgPool2d(1),
)


def random_neurons(draw: random.Random) -> nn.Module:
    arguments: dict[str, Any] = {
        "v_threshold": draw.choice([0.25, 0.5, 1.0, 2.0]),
        "v_reset": draw.choice([None, 0.0, -0.25, 0.125]),
    }
    kind: Any = draw.choice([neuron.IFNode, neuron.LIFNode, neuron.LIFNode, neuron.ParametricLIFNode])
    if kind is not neuron.IFNode:
        tau = "tau" if kind is neuron.LIFNode else "init_tau"
        arguments |= {tau: draw.choice([1.5, 2.0, 3.0, 8.0]), "decay_input": draw.random() < 0.5}
    made: nn.Module = kind(**arguments)
    return made


class Block(nn.Module):
    """A convolution and neurons, and a way around them."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self.conv = layer.Conv2d(FILTERS, FILTERS, 3, padding=1, bias=draw.random() < 0.5)
        self.fire, self.mix = random_neurons(draw), layer.Conv2d(2 * FILTERS, FILTERS, 1)
        self.way = draw.choice(["membranes", "sum", "difference", "concatenation"])
        if self.way != "concatenation":
            del self.mix

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "membranes":
            return x + self.conv(self.fire(x))  # type: ignore[no-any-return]
        spikes: Tensor = self.fire(self.conv(x))
        if self.way == "concatenation":
            return self.mix(torch.cat([x, spikes], dim=-3))  # type: ignore[no-any-return]
        return x + spikes if self.way == "sum" else x - spikes


class RandomNetwork(nn.Module):
    """Input [steps, 1, channels, height, width], or without the steps if it is shown again at each."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self.mode, self.steps = draw.choice("sm"), draw.choice([2, 3, 4])
        self.static = draw.random() < 0.3
        self.output = draw.choice(["mean", "sum", "last", "steps", "membranes"])
        self.size = draw.choice([1, 2, 3]), draw.choice([4, 5, 6]), draw.choice([3, 4, 7])
        kernel = draw.choice([1, 3])
        convolution = {"stride": draw.choice([1, 2]), "padding": 1, "bias": draw.random() < 0.7}
        layers = [layer.Conv2d(self.size[0], FILTERS, kernel, **convolution), random_neurons(draw)]
        layers += [Block(draw) for _ in range(draw.choice([0, 1, 2]))]
        self.body = nn.Sequential(*layers, draw.choice(_POOLS)(), random_neurons(draw), layer.Flatten())
        functional.set_step_mode(self.body, self.mode)
        steps = [self.steps] if self.mode == "m" else []
        features = self.body(torch.zeros(*steps, 1, *self.size)).shape[-1]
        self.zeros = draw.random() < 0.5
        recurrent = self.mode == "s" and draw.random() < 0.5
        # Without zeros there is nothing at the first step, not even a bias.
        self.back = nn.Linear(features, features, bias=self.zeros) if recurrent else None
        self.last = random_neurons(draw) if recurrent else None
        self.head = nn.Linear(features, CLASSES)
        if self.output == "membranes":
            self.readout = neuron.LIFNode(v_threshold=float("inf"), step_mode=self.mode)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its input."""
        return (1, *self.size) if self.static else (self.steps, 1, *self.size)

    def forward(self, x: Tensor) -> Tensor:
        scores = self._sequence(x) if self.mode == "m" else self._loop(x)
        if self.output == "membranes":
            return self.readout.v  # type: ignore[no-any-return]
        if self.output == "last":
            return scores[-1]
        if self.output == "steps":
            return scores
        return scores.mean(0) if self.output == "mean" else scores.sum(0)

    def _sequence(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.body(x.expand(self.steps, *x.shape) if self.static else x))
        if self.output == "membranes":
            self.readout(scores)
        return scores

    def _loop(self, x: Tensor) -> Tensor:
        scores, before = [], None
        for step in range(self.steps):
            spikes = self.body(x if self.static else x[step])
            if self.back is not None and self.last is not None:
                if before is None and self.zeros:
                    before = torch.zeros_like(spikes)
                before = spikes = self.last(spikes if before is None else spikes + self.back(before))
            scores.append(self.head(spikes))
            if self.output == "membranes":
                self.readout(scores[-1])
        return torch.stack(scores)


@dataclass
class RandomCase:
    """A network, how it is quantized, and its inputs, by number."""

    network: RandomNetwork
    config: QuantizationConfig
    input_format: QFormat | None
    inputs: Callable[[int], Tensor]


def random_case(seed: int) -> RandomCase:
    draw = random.Random(seed)
    torch.manual_seed(seed)
    network = RandomNetwork(draw)
    functional.reset_net(network)
    scaled(network, seed, gain=draw.choice([1.5, 3.0, 5.0]))
    formats = {
        Family.WEIGHT: QFormat(draw.randint(0, 1), draw.randint(1, 5)),
        Family.BIAS: QFormat(1, draw.randint(1, 6)),
        Family.MEMBRANE: QFormat(draw.randint(0, 3), draw.randint(1, 6)),
        Family.THRESHOLD: QFormat(1, draw.randint(2, 5), signed=False),
        Family.DECAY: QFormat(0, draw.randint(1, 7), signed=False),
    }
    extra = {f"reciprocal.{count}": QFormat(0, 7, signed=False) for count in _AVERAGES}
    rounded = draw.random() < 0.4
    if rounded:
        extra["input"] = QFormat(draw.randint(0, 2), draw.randint(1, 4))
    config = configured(network, draw.choice(list(Rounding)), formats, extra)

    def inputs(number: int) -> Tensor:
        shape = network.shape
        return gaussian(*shape, seed=number) if rounded else counts(*shape, seed=number, high=3)

    return RandomCase(network, config, None if rounded else QFormat(2, 0, signed=False), inputs)
