"""Spiking networks of torch, each of another kind, of sizes that are no multiple of 32, in random configurations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import optuna
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna import QuantizationConfig, QuantizationSpace, Scheme, calibrate, sample_numbers

CLASSES = 7
STEPS = 5


class ConvSNN(nn.Module):
    """Convolutions, a max-pool, and leaky neurons of both resets; one of them learns its decay."""

    shape = (2, 11, 9)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            layer.Conv2d(2, 5, 3, padding=1),
            neuron.LIFNode(tau=2.0),
            layer.MaxPool2d(2),
            layer.Conv2d(5, 7, 3, stride=2, padding=1, bias=False),
            neuron.ParametricLIFNode(init_tau=3.0, decay_input=False, v_reset=None),
            layer.Flatten(),
            layer.Linear(7 * 3 * 2, CLASSES),
        )
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        """Scores of [steps, batch, 2, 11, 9]."""
        scores: Tensor = self.layers(frames).mean(0)
        return scores


class Residual(nn.Module):
    """Spikes, and membranes, that go around a convolution; an average of 4 values before the readout."""

    shape = (3, 6, 6)

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.fire = layer.Conv2d(3, 5, 3, padding=1), neuron.IFNode(v_reset=None)
        self.conv, self.inner = layer.Conv2d(5, 5, 3, padding=1), neuron.LIFNode(tau=2.0, decay_input=False)
        self.mix, self.outer = layer.Conv2d(5, 5, 1, bias=False), neuron.LIFNode(tau=4.0)
        self.pool, self.head = layer.AvgPool2d(2), layer.Linear(5 * 3 * 3, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        """Scores of [steps, batch, 3, 6, 6]."""
        currents = self.stem(frames)
        spikes = self.fire(currents)
        spikes = spikes + self.inner(self.conv(spikes))
        scores: Tensor = self.head(self.pool(self.outer(currents + self.mix(spikes))).flatten(2)).sum(0)
        return scores


class Recurrent(nn.Module):
    """A loop of single steps, in which neurons see their own spikes of the step before; an integrator reads out."""

    shape = (13,)

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.back = nn.Linear(13, 21), nn.Linear(21, 21, bias=False)
        self.fire, self.head = neuron.LIFNode(tau=2.0, decay_input=False), nn.Linear(21, CLASSES)
        self.integrator = neuron.LIFNode(tau=4.0, decay_input=False, v_threshold=float("inf"))

    def forward(self, frames: Tensor) -> Tensor:
        """Scores of [steps, batch, 13]."""
        spikes = torch.zeros_like(self.enter(frames[0]))
        for frame in frames:
            spikes = self.fire(self.enter(frame) + self.back(spikes))
            self.integrator(self.head(spikes))
        scores: Tensor = self.integrator.v
        return scores


KINDS: tuple[type[ConvSNN] | type[Residual] | type[Recurrent], ...] = (ConvSNN, Residual, Recurrent)


class Layer(NamedTuple):
    """What neurons did: spikes and membranes, [steps, elements]."""

    spikes: NDArray[np.float32]
    membranes: NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A network, and a configuration of it."""

    network: nn.Module
    config: QuantizationConfig


def make(kind: Callable[[], Any], seed: int) -> nn.Module:
    """A network that spikes: its weights are larger than torch makes them."""
    torch.manual_seed(seed)
    network: nn.Module = kind()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return network


def frames(network: Any, count: int, seed: int) -> Tensor:
    """Spike counts from 0 to 3, [steps, samples, ...]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 4, (STEPS, count, *network.shape), generator=generator).float()


def cases(kind: Callable[[], Any], count: int) -> list[Case]:
    """A network, in random configurations: widths, and a rounding for each family."""
    network = make(kind, 0)
    specs = calibrate(network, [frames(network, 8, 0)])
    space = QuantizationSpace(specs, bits=(1, 8), schemes=(Scheme.PTQ,), rounding_per_family=True)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=optuna.samplers.RandomSampler(seed=0))
    return [Case(network, space.suggest(study.ask())) for _ in range(count)]


@torch.no_grad()
def observe(network: nn.Module, samples: Tensor) -> dict[str, list[Layer]]:
    """Spikes and membranes of every layer of neurons, for each of [steps, samples, ...], all in one batch."""
    count = samples.shape[1]
    seen: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
    handles = []
    for name, module in network.named_modules():
        if isinstance(module, neuron.BaseNode):
            if module.step_mode == "m":
                module.store_v_seq = True
            handles.append(module.register_forward_hook(_keep(seen.setdefault(name, ([], [])))))
    functional.reset_net(network)
    with sample_numbers(network, range(count)):
        network(samples)
    functional.reset_net(network)
    for handle in handles:
        handle.remove()
    return {
        name: [Layer(*(torch.stack(kept)[:, number].flatten(1).numpy() for kept in both)) for number in range(count)]
        for name, both in seen.items()
    }


def _keep(seen: tuple[list[Tensor], list[Tensor]]) -> Callable[[Any, Any, Tensor], None]:
    def hook(module: Any, _: Any, spikes: Tensor) -> None:
        seen[0].extend(spikes.clone() if module.step_mode == "m" else [spikes.clone()])
        seen[1].extend(module.v_seq.clone() if module.step_mode == "m" else [module.v.clone()])

    return hook
