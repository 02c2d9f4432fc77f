"""Structures that other people's networks have, each in a network of a few lines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from spikingjelly.activation_based import base, encoding, functional, layer, neuron, surrogate
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from zoo.architecture import Architecture, Counts, Outcome, conv, leaky_readout, lif, linear, non_leaky
from zoo.samples import gaussian, grey, pixels, spikes, spikes_over_time, standardised, token_ids

STEPS = 4
CLASSES = 10


class Repeat(nn.Module):
    """Shows its layers the same images at every step, and averages what they put out."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        functional.set_step_mode(self, "m")

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.layers(images.unsqueeze(0).repeat(STEPS, *[1] * images.ndim)).mean(0)
        return scores


class Frames(nn.Sequential):
    """Layers in multi-step mode that take [steps, batch, ...]."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        functional.set_step_mode(self, "m")


def _classifier(features: int) -> list[nn.Module]:
    return [layer.Flatten(), layer.Linear(features, CLASSES)]


# Inputs off every grid, and averages.


def _average_of_three(*before: nn.Module) -> nn.Module:
    """A convolution, an average pool of 3, and normalization directly before the neuron."""
    return Repeat(
        *before,
        layer.Conv2d(1, 8, 3, padding=1),
        layer.AvgPool2d(3),
        layer.BatchNorm2d(8),
        neuron.LIFNode(decay_input=False),
        *_classifier(8 * 4**2),
    )


AVERAGE_OF_THREE = conv(1, 8, 3) + lif(8 * 4**2) + linear(8 * 4**2, CLASSES)


class TokenAverage(nn.Module):
    """The mean over 6 tokens in ``forward``, before a neuron."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.neuron1 = layer.Linear(8, 16), neuron.LIFNode()
        self.hidden, self.neuron2 = layer.Linear(16, 16), neuron.LIFNode()
        self.head = layer.Linear(16, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        tokens = self.neuron1(self.embed(frames))
        pooled = self.neuron2(self.hidden(tokens).mean(dim=2))
        scores: Tensor = self.head(pooled)
        return scores


class MembraneShortcut(nn.Module):
    """x + conv(lif(x)), as in MS-ResNet, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = layer.Conv2d(1, 4, 3, padding=1)
        self.neurons = nn.ModuleList([neuron.LIFNode(decay_input=False) for _ in range(3)])
        self.convs = nn.ModuleList([layer.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(2)])
        self.head = layer.Linear(4 * 8**2, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        x = self.stem(frames)
        for fire, convolve in zip(self.neurons, self.convs, strict=False):
            x = x + convolve(fire(x))
        scores: Tensor = self.head(self.neurons[-1](x).flatten(2))
        return scores


# Normalization where no layer takes it in.


class NormAfterAddition(nn.Module):
    """Normalization of a sum, which is neither branch's."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.neuron1 = layer.Conv2d(1, 4, 3, padding=1), neuron.LIFNode()
        self.branch, self.norm, self.neuron2 = layer.Conv2d(4, 4, 3, padding=1), layer.BatchNorm2d(4), neuron.LIFNode()
        self.head = layer.Linear(4 * 8**2, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        spikes = self.neuron1(self.stem(frames))
        spikes = self.neuron2(self.norm(self.branch(spikes) + spikes))
        scores: Tensor = self.head(spikes.flatten(2))
        return scores


def _temporal_norm() -> nn.Module:
    return Frames(
        layer.Conv2d(1, 4, 3, padding=1, bias=False),
        layer.TemporalEffectiveBatchNorm2d(STEPS, 4),
        neuron.LIFNode(),
        *_classifier(4 * 8**2),
    )


class TwoContainers(nn.Module):
    """Layer and normalization in containers of their own, a transpose and dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.project = layer.SeqToANNContainer(nn.Linear(8, 16))
        self.dropout = nn.Dropout(0.1)
        self.norm = layer.SeqToANNContainer(nn.BatchNorm1d(16))
        self.neuron, self.head = neuron.LIFNode(), layer.Linear(16, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        tokens = self.dropout(self.project(frames)).transpose(2, 3)
        tokens = self.neuron(self.norm(tokens)).transpose(2, 3)
        scores: Tensor = self.head(tokens).sum(2)
        return scores


class LayerNorms(nn.Module):
    """A spiking transformer's LayerNorm before the neuron."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = layer.Linear(8, 16), nn.LayerNorm(16)
        self.neuron, self.head = neuron.LIFNode(), layer.Linear(16, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        scores: Tensor = self.head(self.neuron(self.norm(self.embed(frames))))
        return scores


class SoftmaxAttention(nn.Module):
    """Attention of an artificial network between spiking layers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.neuron = layer.Linear(8, 16), neuron.LIFNode()
        self.attention, self.head = nn.MultiheadAttention(16, 2), layer.Linear(16, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        tokens = self.neuron(self.embed(frames)).mean(0).transpose(0, 1)
        scores: Tensor = self.head(self.attention(tokens, tokens, tokens)[0].mean(0))
        return scores


# ``forward`` as people write it.


class Casts(nn.Module):
    """A threshold on the pixels, casts, and a sum that is allocated in ``forward``."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.neuron, self.head = nn.Linear(64, 32), neuron.LIFNode(), nn.Linear(32, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        scores = torch.zeros(len(images), CLASSES)
        for step in range(STEPS):
            events = (images > step / STEPS).float().flatten(1)
            scores += self.head(self.neuron(self.hidden(events))).to(torch.float32)
        return scores


class RateCoded(nn.Module):
    """Pixels become random spikes in ``forward``."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoding.PoissonEncoder()
        self.hidden, self.neuron, self.head = nn.Linear(64, 32), neuron.LIFNode(), nn.Linear(32, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = sum(
            (self.head(self.neuron(self.hidden(self.encoder(images).flatten(1)))) for _ in range(STEPS)),
            start=torch.zeros(1),
        )
        return scores


class AuxiliaryHead(nn.Module):
    """A second head that only training uses, and a LayerNorm that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.neuron = layer.Linear(64, 32), neuron.LIFNode()
        self.auxiliary = nn.Sequential(layer.Linear(32, 16), layer.BatchNorm1d(16), layer.Linear(16, CLASSES))
        self.unused = nn.LayerNorm(32)
        self.head = layer.Linear(32, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        spikes = self.neuron(self.hidden(frames))
        scores: Tensor = self.head(spikes)
        return scores + 0.1 * self.auxiliary(spikes) if self.training else scores


class Speech(nn.Module):
    """Features over time that are transposed before the neuron, so that dimension 0 of its state is no batch."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.neuron = nn.Linear(6, 8), neuron.LIFNode(step_mode="m")
        self.head = nn.Linear(8, CLASSES)

    def forward(self, features: Tensor) -> Tensor:
        # [batch, channels, time, mels] to [time, channels, batch, neurons]
        currents = self.hidden(features).permute(2, 1, 0, 3)
        scores: Tensor = self.head(self.neuron(currents)).sum(1)
        return scores


class FoldedTokens(nn.Module):
    """Tokens that are folded into the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.neuron = nn.Linear(8, 32), neuron.LIFNode(step_mode="m")
        self.head = nn.Linear(32, CLASSES)

    def forward(self, frames: Tensor) -> Tensor:
        steps, batch, tokens, _ = frames.shape
        spikes = self.neuron(self.embed(frames).reshape(steps, batch * tokens, -1))
        scores: Tensor = self.head(spikes).reshape(steps, batch, tokens, -1).sum(2)
        return scores


class TupleOutput(nn.Module):
    """Scores and the spikes of a hidden layer, for a penalty on activity."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.neuron, self.head = layer.Linear(64, 32), neuron.LIFNode(), layer.Linear(32, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        spikes = self.neuron(self.hidden(frames))
        return self.head(spikes), spikes


class DictOutput(TupleOutput):
    """The same by names, nested."""

    def forward(self, frames: Tensor) -> Any:
        scores, spikes = super().forward(frames)
        return {"logits": scores, "activity": [spikes.mean(), spikes]}


class TwoInputs(nn.Module):
    """An image and the events of another sensor."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.events = layer.Linear(64, 16), layer.Linear(24, 16)
        self.neuron, self.head = neuron.LIFNode(), layer.Linear(16, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, images: Tensor, events: Tensor) -> Tensor:
        currents = self.image(images.unsqueeze(0).repeat(STEPS, 1, 1)) + self.events(events.transpose(0, 1))
        scores: Tensor = self.head(self.neuron(currents))
        return scores


class Sentences(nn.Module):
    """Token ids to an embedding, one token a step."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.hidden, self.neuron = layer.Linear(8, 16), neuron.LIFNode()
        self.head = layer.Linear(16, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.head(self.neuron(self.hidden(self.embedding(ids.t()))))
        return scores


class TiedEmbedding(nn.Module):
    """A language model whose output layer has the weights of its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.neuron = neuron.LIFNode(step_mode="m")
        self.head = nn.Linear(8, 20, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.head(self.neuron(self.embedding(ids.t())))
        return scores


# Neurons that are not quite SpikingJelly's.


def _with_neuron(make: Callable[[], nn.Module]) -> nn.Module:
    return Frames(layer.Linear(64, 32), make(), layer.Linear(32, CLASSES))


WITH_LIF = linear(64, 32) + lif(32) + linear(32, CLASSES)


def _tensor_tau() -> nn.Module:
    """A time constant that someone sets to a tensor."""
    fire: nn.Module = neuron.LIFNode(tau=2.0)
    fire.tau = torch.tensor(3.0)
    return fire


class PropertyTau(neuron.LIFNode):  # type: ignore[misc]
    """A time constant that is computed from a buffer."""

    def __init__(self) -> None:
        super().__init__(decay_input=False)
        self.register_buffer("log_tau", torch.tensor(1.0))

    @property
    def tau(self) -> Tensor:
        """Time constant in steps."""
        tau: Tensor = 1 + self.log_tau.exp()
        return tau

    @tau.setter
    def tau(self, value: float) -> None:
        pass


class HalvedInput(neuron.LIFNode):  # type: ignore[misc]
    """A neuron that overrides ``forward`` to weaken its input."""

    def forward(self, x: Tensor) -> Tensor:
        spikes: Tensor = super().forward(x * 0.5)
        return spikes


class OwnStep(neuron.LIFNode):  # type: ignore[misc]
    """A neuron whose ``forward`` does the steps itself, with the decay of its class written out."""

    v: Tensor | float

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        return torch.stack([self.single_step_forward(x) for x in x_seq])

    def single_step_forward(self, x: Tensor) -> Tensor:
        self.v = (torch.zeros_like(x) if isinstance(self.v, float) else self.v) * (1 - 1 / self.tau) + x
        spikes: Tensor = self.surrogate_function(self.v - self.v_threshold)
        self.v = self.v - spikes.detach() * self.v_threshold
        return spikes


class MembraneReadout(nn.Module):
    """Scores from the membranes of neurons that never fire."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.neuron = nn.Linear(64, 32), neuron.LIFNode()
        self.head, self.readout = nn.Linear(32, CLASSES), neuron.LIFNode(v_threshold=float("inf"))

    def forward(self, frames: Tensor) -> Tensor:
        for frame in frames:
            self.readout(self.head(self.neuron(self.hidden(frame))))
        scores: Tensor = self.readout.v
        return scores


class Loop(nn.Module):
    """Single steps in a loop, the gradient cut after every two."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.neuron, self.head = nn.Linear(64, 32), neuron.LIFNode(), nn.Linear(32, CLASSES)

    def forward(self, frames: Tensor) -> Tensor:
        scores = []
        for step, frame in enumerate(frames):
            if step % 2 == 0 and step > 0:
                functional.detach_net(self)
            scores.append(self.head(self.neuron(self.hidden(frame))))
        return torch.stack(scores)


class SpikingConvLSTM(base.MemoryModule):  # type: ignore[misc]
    """Gates of spikes, a cell and a hidden state, as SpikingJelly's memory modules keep them."""

    h: Any
    c: Any

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.gates = nn.Conv2d(inputs + channels, 4 * channels, 3, padding=1)
        self.spike = surrogate.ATan()
        self.register_memory("h", 0.0)
        self.register_memory("c", 0.0)

    def single_step_forward(self, x: Tensor) -> Tensor:
        if isinstance(self.h, float):
            self.h = x.new_zeros(len(x), self.channels, *x.shape[2:])
            self.c = torch.zeros_like(self.h)
        take, forget, give, new = (
            self.spike(gate) for gate in self.gates(torch.cat([x, self.h], dim=1)).chunk(4, dim=1)
        )
        self.c = forget * self.c * 0.5 + take * new
        self.h = give * self.spike(self.c - 0.25)
        state: Tensor = self.h
        return state


class ConvLSTM(nn.Module):
    """A convolutional LSTM of spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = SpikingConvLSTM(1, 4), nn.Linear(4 * 8**2, CLASSES)

    def forward(self, frames: Tensor) -> Tensor:
        scores: Tensor = sum((self.head(self.cell(frame).flatten(1)) for frame in frames), start=torch.zeros(1))
        return scores


class UNet(nn.Module):
    """One level down and up, and a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.neuron1 = layer.Conv2d(1, 4, 3, padding=1, bias=False), neuron.LIFNode()
        self.norm1, self.pool = layer.BatchNorm2d(4), layer.MaxPool2d(2)
        self.down, self.neuron2 = layer.Conv2d(4, 8, 3, padding=1), neuron.LIFNode()
        self.up, self.neuron3 = layer.ConvTranspose2d(8, 4, 2, stride=2), neuron.LIFNode()
        self.join, self.neuron4 = layer.Conv2d(8, 4, 3, padding=1), neuron.LIFNode()
        self.head = layer.Linear(4 * 8**2, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        fine = self.neuron1(self.norm1(self.enter(frames)))
        coarse = self.neuron2(self.down(self.pool(fine)))
        joined = self.neuron4(self.join(torch.cat([fine, self.neuron3(self.up(coarse))], dim=2)))
        scores: Tensor = self.head(joined.flatten(2))
        return scores


class LocalLearning(nn.Module):
    """As DECOLLE: a fixed random readout after each layer, and no gradient between layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([layer.Linear(64, 32), layer.Linear(32, 32)])
        self.neurons = nn.ModuleList([neuron.LIFNode(), neuron.LIFNode()])
        self.readouts = nn.ModuleList([layer.Linear(32, CLASSES, bias=False).requires_grad_(False) for _ in range(2)])
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> list[Tensor]:
        scores = []
        for synapse, fire, readout in zip(self.layers, self.neurons, self.readouts, strict=True):
            frames = fire(synapse(frames.detach()))
            scores.append(readout(frames))
        return scores


def _recurrent() -> nn.Module:
    return Frames(
        layer.Linear(64, 32),
        layer.LinearRecurrentContainer(neuron.LIFNode(), in_features=32, out_features=32, bias=False),
        layer.Linear(32, CLASSES),
    )


# Modules that compute the weights which they use.


def _weight_norm() -> nn.Module:
    network = _with_neuron(neuron.LIFNode)
    parametrizations.weight_norm(network[0])  # type: ignore[index]
    return network


def _spectral_norm() -> nn.Module:
    # The norm of the weights is 1, and so are currents small.
    network = _with_neuron(partial(neuron.LIFNode, v_threshold=0.125, decay_input=False))
    parametrizations.spectral_norm(network[0])  # type: ignore[index]
    return network


def _pruned() -> nn.Module:
    network: Any = _with_neuron(neuron.LIFNode)
    prune.l1_unstructured(network[0], "weight", amount=0.5)  # type: ignore[no-untyped-call]
    return network  # type: ignore[no-any-return]


def _half_precision() -> nn.Module:
    return _with_neuron(neuron.LIFNode).bfloat16()


def _perceptron(*middle: nn.Module) -> nn.Module:
    return Frames(layer.Linear(64, 32), *middle, layer.Linear(32, CLASSES))


def _first(output: Any) -> Tensor:
    scores: Tensor = output[0]
    return scores


def _last(output: Any) -> Tensor:
    scores: Tensor = output[-1]
    return scores


def _logits(output: Any) -> Tensor:
    scores: Tensor = output["logits"]
    return scores


def _image_and_events(batch: int) -> tuple[Tensor, Tensor]:
    return grey(64)(batch), spikes(STEPS, 24)(batch)


def _half_frames(batch: int) -> Tensor:
    return spikes_over_time(STEPS, 64)(batch).bfloat16()


FRAMES = spikes_over_time(STEPS, 64)
IMAGES_OVER_TIME = spikes_over_time(STEPS, 1, 8, 8)

STRUCTURES = [
    Architecture(
        "pixels / 255, average of 3", _average_of_three, pixels(1, 12, 12), AVERAGE_OF_THREE, quick=True, averages=1
    ),
    Architecture(
        "standardised pixels, average of 3", _average_of_three, standardised(1, 12, 12), AVERAGE_OF_THREE, averages=1
    ),
    Architecture(
        "Gaussian features",
        lambda: Repeat(layer.Linear(64, 32), neuron.LIFNode(), layer.Linear(32, CLASSES)),
        gaussian(64),
        WITH_LIF,
    ),
    Architecture(
        "mean over 6 tokens",
        TokenAverage,
        spikes_over_time(STEPS, 6, 8),
        linear(8, 16) + lif(6 * 16) + linear(16, 16) + lif(16) + linear(16, CLASSES),
        quick=True,
        averages=1,
    ),
    Architecture(
        "membrane shortcuts",
        MembraneShortcut,
        IMAGES_OVER_TIME,
        conv(1, 4, 3) + lif(4 * 8**2) * 3 + conv(4, 4, 3, bias=False) * 2 + linear(4 * 8**2, CLASSES),
    ),
    Architecture(
        "normalization before the neuron, after a pool",
        lambda: Frames(
            layer.Conv2d(1, 4, 3, padding=1),
            neuron.LIFNode(),
            layer.AvgPool2d(2),
            layer.BatchNorm2d(4),
            neuron.LIFNode(),
            *_classifier(4 * 4**2),
        ),
        IMAGES_OVER_TIME,
        # Its scale and offset: one of each a channel.
        conv(1, 4, 3) + lif(4 * 8**2) + Counts(weight=4, bias=4) + lif(4 * 4**2) + linear(4 * 4**2, CLASSES),
    ),
    Architecture(
        "normalization after an addition",
        NormAfterAddition,
        IMAGES_OVER_TIME,
        conv(1, 4, 3)
        + lif(4 * 8**2)
        + conv(4, 4, 3)
        + Counts(weight=4, bias=4)
        + lif(4 * 8**2)
        + linear(4 * 8**2, CLASSES),
    ),
    Architecture(
        "temporal effective normalization",
        _temporal_norm,
        IMAGES_OVER_TIME,
        # Its scale and offset: one of each a channel and step.
        conv(1, 4, 3, bias=False)
        + Counts(weight=4 * STEPS, bias=4 * STEPS)
        + lif(4 * 8**2)
        + linear(4 * 8**2, CLASSES),
    ),
    Architecture(
        "layer and normalization in two containers",
        TwoContainers,
        spikes_over_time(STEPS, 6, 8),
        linear(8, 16) + lif(16 * 6) + linear(16, CLASSES),
    ),
    Architecture(
        "layer normalization", LayerNorms, spikes_over_time(STEPS, 8), None, expected=Outcome.REFUSED, quick=True
    ),
    Architecture("softmax attention", SoftmaxAttention, spikes_over_time(STEPS, 6, 8), None, expected=Outcome.REFUSED),
    Architecture("casts in forward", Casts, grey(1, 8, 8), WITH_LIF, quick=True),
    Architecture("random encoder", RateCoded, pixels(1, 8, 8), WITH_LIF, quick=True),
    Architecture("auxiliary head", AuxiliaryHead, FRAMES, WITH_LIF, quick=True),
    Architecture(
        "transposed states", Speech, spikes(2, 5, 6), linear(6, 8) + lif(2 * 8) + linear(8, CLASSES), quick=True
    ),
    Architecture(
        "tokens in the batch",
        FoldedTokens,
        spikes_over_time(STEPS, 6, 8),
        linear(8, 32) + lif(6 * 32) + linear(32, CLASSES),
        quick=True,
    ),
    Architecture("tuple output", TupleOutput, FRAMES, WITH_LIF, scores=_first, quick=True),
    Architecture("dict output", DictOutput, FRAMES, WITH_LIF, scores=_logits),
    Architecture(
        "two inputs",
        TwoInputs,
        _image_and_events,
        linear(64, 16) + linear(24, 16) + lif(16) + linear(16, CLASSES),
        quick=True,
    ),
    Architecture(
        "token ids",
        Sentences,
        token_ids(5, 20),
        linear(20, 8, bias=False) + linear(8, 16) + lif(16) + linear(16, CLASSES),
        quick=True,
    ),
    Architecture("tied embedding", TiedEmbedding, token_ids(5, 20), linear(20, 8, bias=False) + lif(8), quick=True),
    Architecture("tensor as time constant", partial(_with_neuron, _tensor_tau), FRAMES, WITH_LIF, quick=True),
    Architecture("property as time constant", partial(_with_neuron, PropertyTau), FRAMES, WITH_LIF),
    Architecture("forward overridden", partial(_with_neuron, HalvedInput), FRAMES, WITH_LIF, quick=True),
    Architecture("step overridden", partial(_with_neuron, OwnStep), FRAMES, WITH_LIF),
    Architecture("membranes as scores", MembraneReadout, FRAMES, WITH_LIF + leaky_readout(CLASSES), quick=True),
    Architecture("loop of single steps, gradient cut", Loop, FRAMES, WITH_LIF, quick=True),
    Architecture(
        "ConvLSTM of spikes",
        ConvLSTM,
        IMAGES_OVER_TIME,
        conv(5, 16, 3) + Counts(trace=2 * 4 * 8**2) + linear(4 * 8**2, CLASSES),
    ),
    Architecture(
        "U-Net",
        UNet,
        IMAGES_OVER_TIME,
        conv(1, 4, 3)
        + lif(4 * 8**2)
        + conv(4, 8, 3)
        + lif(8 * 4**2)
        + conv(8, 4, 2)
        + lif(4 * 8**2)
        + conv(8, 4, 3)
        + lif(4 * 8**2)
        + linear(4 * 8**2, CLASSES),
    ),
    Architecture(
        "local learning",
        LocalLearning,
        FRAMES,
        linear(64, 32) + linear(32, 32) + lif(32, 32) + linear(32, CLASSES, bias=False) * 2,
        scores=_last,
    ),
    Architecture(
        "recurrent container",
        _recurrent,
        FRAMES,
        # Its last output comes back through a layer of its own.
        linear(64, 32) + linear(64, 32, bias=False) + lif(32) + Counts(trace=32) + linear(32, CLASSES),
    ),
    Architecture(
        "synaptic filter",
        lambda: _perceptron(layer.SynapseFilter(tau=4.0, learnable=True), neuron.IFNode()),
        FRAMES,
        linear(64, 32) + Counts(trace=32, decay=1) + non_leaky(32) + linear(32, CLASSES),
    ),
    Architecture(
        "current-based neurons",
        lambda: _perceptron(neuron.CUBALIFNode(c_decay=0.25, v_decay=0.5)),
        FRAMES,
        linear(64, 32) + Counts(membrane=32, trace=32, threshold=1, decay=2) + linear(32, CLASSES),
    ),
    Architecture("weight normalization", _weight_norm, FRAMES, WITH_LIF, quick=True),
    Architecture("spectral normalization", _spectral_norm, FRAMES, WITH_LIF),
    Architecture("pruned", _pruned, FRAMES, WITH_LIF, quick=True),
    Architecture("bfloat16", _half_precision, _half_frames, WITH_LIF, quick=True),
]
