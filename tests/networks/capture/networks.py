"""Small networks of the kinds that are captured. Neurons of all have sizes that are no multiples of 32."""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

STEPS, CLASSES = 4, 5


class MultiStep(nn.Sequential):
    """Layers in mode 'm', [steps, 1, ...]."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        functional.set_step_mode(self, "m")


class MeanOverTime(MultiStep):
    """The mean of what the layers put out."""

    def forward(self, frames: Tensor) -> Tensor:
        scores: Tensor = super().forward(frames).mean(0)  # type: ignore[no-untyped-call]
        return scores


class DirectCoding(nn.Module):
    """Shows the same image at every step; the first layer is applied before, or after, it is repeated."""

    def __init__(self, *, before: bool) -> None:
        super().__init__()
        self.before = before
        self.conv, self.fire = nn.Conv2d(1, 3, 3, padding="same"), neuron.LIFNode(decay_input=False)
        self.head = nn.Linear(3 * 25, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        scores = torch.zeros(len(images), CLASSES)
        currents = self.conv(images) if self.before else None
        for _ in range(STEPS):
            spikes = self.fire(self.conv(images) if currents is None else currents)
            scores += self.head(spikes.flatten(1)) / STEPS
        return scores


class Residual(nn.Module):
    """Shortcuts of spikes and of membranes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.fire1 = layer.Conv2d(2, 3, 3, padding=1), neuron.IFNode()
        self.conv2, self.fire2 = layer.Conv2d(3, 3, 3, padding=1, groups=3), neuron.LIFNode(v_reset=None)
        self.conv3, self.fire3 = layer.Conv2d(3, 3, 1, bias=False), neuron.LIFNode(tau=4.0)
        self.head = layer.Linear(3 * 15, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        spikes = self.fire1(self.stem(frames))
        currents = spikes + self.conv2(spikes)
        spikes = self.fire2(currents) + spikes
        currents = currents - self.conv3(spikes) * 0.5 + 0.25
        scores: Tensor = self.head(self.fire3(currents).flatten(2))
        return scores


class HandRecurrence(nn.Module):
    """The spikes of the step before come back, as zeros or as nothing at first."""

    def __init__(self, *, zeros: bool) -> None:
        super().__init__()
        self.zeros = zeros
        self.enter, self.back = nn.Linear(7, 9), nn.Linear(9, 9, bias=zeros)
        self.fire, self.head = neuron.LIFNode(v_threshold=0.5), nn.Linear(9, CLASSES)

    def forward(self, frames: Tensor) -> Tensor:
        spikes: Any = torch.zeros(frames.shape[1], 9) if self.zeros else None
        scores = []
        for frame in frames:
            currents = self.enter(frame)
            if spikes is not None:
                currents = currents + self.back(spikes)
            spikes = self.fire(currents)
            scores.append(self.head(spikes))
        return torch.stack(scores).mean(0)


class Turned(nn.Module):
    """Layers over one dimension after the other, which come last in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(2, 3), nn.Linear(5, 4), nn.Linear(3, CLASSES)
        self.fire1, self.fire2 = neuron.LIFNode(step_mode="m"), neuron.IFNode(step_mode="m")

    def forward(self, frames: Tensor) -> Tensor:
        # [steps, 1, 2, 5, 3] to [steps, 1, 5, 3, 2]
        spikes = self.fire1(self.first(frames.permute(0, 1, 3, 4, 2)))
        spikes = self.fire2(self.second(spikes.movedim(2, -1)))
        scores: Tensor = self.third(spikes.transpose(2, 4)).sum((2, 3))
        return scores


class OwnParameters(nn.Module):
    """Factors and offsets of channels, weights that are used twice, and a mean over time before a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(7, 9), nn.Linear(9, CLASSES)
        self.gain, self.shift = nn.Parameter(torch.rand(9)), nn.Parameter(torch.rand(9))
        self.fire1, self.fire2 = neuron.IFNode(step_mode="m"), neuron.LIFNode(step_mode="m", v_threshold=0.5)

    def forward(self, frames: Tensor) -> Tensor:
        spikes = self.fire1(self.enter(frames) * self.gain - self.shift)
        back = spikes @ self.enter.weight
        spikes = self.fire2(1 - self.enter(back))
        scores: Tensor = self.head(spikes.mean(0))
        return scores


class Later(nn.Module):
    """Something of the step before is added to the currents."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        self.enter, self.back = nn.Linear(7, 9), nn.Linear(9 if what == "membranes" else 7, 9, bias=False)
        self.fire, self.head = neuron.LIFNode(v_threshold=0.5), nn.Linear(9, CLASSES)

    def forward(self, frames: Tensor) -> Tensor:
        before: Any = None
        scores = []
        for frame in frames:
            currents = self.enter(frame)
            now = self.back(frame) if self.what == "currents" else frame
            if before is not None:
                currents = currents + (before if self.what == "currents" else self.back(before))
            scores.append(self.head(self.fire(currents)) + 0 * frame[:, :CLASSES])
            before = self.fire.v if self.what == "membranes" else now
        return torch.stack(scores)


class Decimals(nn.Module):
    """Spikes are scaled and averaged in floating point before layers."""

    def __init__(self) -> None:
        super().__init__()
        self.fire1, self.conv = neuron.IFNode(v_threshold=2.0), layer.Conv2d(2, 3, 3)
        self.fire2, self.head = neuron.LIFNode(v_threshold=0.25), layer.Linear(3, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        spikes = self.fire2(self.conv(self.fire1(frames) * 0.3 - 0.1))
        scores: Tensor = self.head(spikes.mean((-1, -2)))
        return scores


def recurrent_container(step_mode: str) -> nn.Module:
    """Spikes come back through a layer, and beside the input."""
    return Steps(
        layer.Linear(7, 9),
        layer.LinearRecurrentContainer(neuron.LIFNode(), in_features=9, out_features=9),
        layer.ElementWiseRecurrentContainer(neuron.IFNode(v_threshold=1.5), _plus),
        layer.Linear(9, CLASSES),
        step_mode=step_mode,
    )


def recurrence_beside_the_input(step_mode: str) -> nn.Module:
    """What comes in and the spikes of the step before are one array, which nothing but zeros completes at first."""
    fire = nn.Sequential(nn.Linear(7, 9), neuron.LIFNode())
    container = layer.LinearRecurrentContainer(fire, in_features=7, out_features=9)
    return Steps(container, layer.Linear(9, CLASSES), step_mode=step_mode)


def _plus(one: Tensor, other: Tensor) -> Tensor:
    return one + other


class Steps(nn.Module):
    """Layers in either mode; the mean over time."""

    def __init__(self, *layers: nn.Module, step_mode: str) -> None:
        super().__init__()
        self.layers, self.step_mode = nn.Sequential(*layers), step_mode
        for each in layers:
            each.step_mode = step_mode  # type: ignore[assignment]

    def forward(self, frames: Tensor) -> Tensor:
        if self.step_mode == "m":
            scores: Tensor = self.layers(frames).sum(0)
            return scores
        total = 0.0
        for frame in frames:
            total = total + self.layers(frame)
        assert isinstance(total, Tensor)
        return total


class Collected(nn.Module):
    """Scores are collected as people write it."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.hidden, self.fire, self.head = nn.Linear(7, 9), neuron.LIFNode(v_threshold=0.5), nn.Linear(9, CLASSES)
        if way == "counts":
            self.last = neuron.IFNode()

    def forward(self, frames: Tensor) -> Tensor:
        functional.reset_net(self)
        spikes = [self.fire(self.hidden(frame)) for frame in frames]
        if self.way == "slots":
            slots = torch.zeros(*frames.shape[:2], CLASSES)
            for step, each in enumerate(spikes):
                slots[step] = self.head(each)
            return slots.mean(0)
        if self.way == "rates":
            return self.head(torch.mean(input=torch.stack(spikes, 1), dim=1))  # type: ignore[no-any-return]
        if self.way == "potential":
            return self.head(self.fire.v)  # type: ignore[no-any-return]
        counts: Any = 0
        for each in spikes:
            counts = counts + self.last(self.head(each))
        return counts / len(frames)  # type: ignore[no-any-return]


class MembraneReadout(nn.Module):
    """Scores are membranes of neurons that never fire."""

    def __init__(self, step_mode: str) -> None:
        super().__init__()
        self.hidden, self.fire = layer.Linear(7, 9), neuron.ParametricLIFNode(init_tau=3.0)
        self.head = layer.Linear(9, CLASSES)
        self.readout = neuron.LIFNode(v_threshold=float("inf"), store_v_seq=step_mode == "m")
        functional.set_step_mode(self, step_mode)

    def forward(self, frames: Tensor) -> Tensor:
        if self.readout.step_mode == "m":
            self.readout(self.head(self.fire(self.hidden(frames))))
            scores: Tensor = self.readout.v_seq.mean(0)
            return scores
        for frame in frames:
            self.readout(self.head(self.fire(self.hidden(frame))))
        last: Tensor = self.readout.v
        return last


class PerChannel(neuron.LIFNode):  # type: ignore[misc]
    """A threshold for each channel."""

    def __init__(self, thresholds: Tensor, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.v_threshold = thresholds


def scaled(network: nn.Module, seed: int, gain: float = 3.0) -> nn.Module:
    """Weights for which neurons fire."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        if parameter.ndim > 0 and parameter.numel() > 1:
            bound = gain / max(parameter[0].numel(), 4) ** 0.5
            with torch.no_grad():
                parameter.uniform_(-bound / 2, bound, generator=generator)
    return network


def spikes(*shape: int, seed: int = 0, rate: float = 0.5) -> Tensor:
    """Zeros and ones."""
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < rate).float()


def counts(*shape: int, seed: int = 0, high: int = 7) -> Tensor:
    """Whole numbers."""
    return torch.randint(0, high + 1, shape, generator=torch.Generator().manual_seed(seed)).float()


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    """Numbers on no grid."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
