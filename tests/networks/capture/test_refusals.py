"""What is not captured, and that it is named."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.fixed_point import QFormat, Rounding
from qspinn_optuna.networks import CaptureError, capture, freeze_network, quantize_network
from tests.networks.capture import networks
from tests.networks.capture.comparison import captured, configured
from tests.networks.capture.networks import CLASSES, STEPS, counts, gaussian, spikes

FRAMES = (STEPS, 1, 6)


class Middle(nn.Module):
    """Something between two layers."""

    def __init__(self, step_mode: str = "m") -> None:
        super().__init__()
        self.hidden, self.fire = layer.Linear(6, 7), neuron.LIFNode(v_threshold=0.25)
        self.head = layer.Linear(7, CLASSES)
        functional.set_step_mode(self, step_mode)

    def forward(self, frames: Tensor) -> Tensor:
        scores: Tensor = self.head(self.between(self.fire(self.hidden(frames))))
        return scores

    def between(self, spikes: Tensor) -> Tensor:
        raise NotImplementedError


class Softmax(Middle):
    def between(self, spikes: Tensor) -> Tensor:
        return spikes.softmax(-1)


class Attention(Middle):
    def between(self, spikes: Tensor) -> Tensor:
        return torch.matmul(spikes.transpose(-1, -2), spikes).mean(-1).unsqueeze(1)


class Gate(Middle):
    def between(self, spikes: Tensor) -> Tensor:
        return spikes * (1 - spikes)


class Branch(Middle):
    def between(self, spikes: Tensor) -> Tensor:
        return 2 * spikes if bool(spikes.sum()) else spikes


class Comparison(Middle):
    def between(self, spikes: Tensor) -> Tensor:
        large: Tensor = spikes > self.hidden.weight.sum()
        return large.float()


class Item(Middle):
    def between(self, spikes: Tensor) -> Tensor:
        return spikes * float(spikes.sum().item())


class Decimal(Middle):
    def between(self, spikes: Tensor) -> Tensor:
        return spikes * 0.3


class Third(Middle):
    def between(self, spikes: Tensor) -> Tensor:
        return spikes / 3


class Cut(Middle):
    def between(self, spikes: Tensor) -> Tensor:
        return torch.cat([spikes[..., :3], spikes[..., 2:]], -1)[..., :7]


class Reversed(Middle):
    """Steps in the opposite order: the future."""

    def forward(self, frames: Tensor) -> Tensor:
        spikes = self.fire(self.hidden(frames)).flip(0)
        scores: Tensor = self.head(self.fire2(spikes))
        return scores

    def __init__(self) -> None:
        super().__init__()
        self.fire2 = neuron.IFNode(step_mode="m")


class OtherLastStep(nn.Module):
    """Another current at the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.fire, self.head = nn.Linear(6, 7), neuron.IFNode(), nn.Linear(7, CLASSES)

    def forward(self, frames: Tensor) -> Tensor:
        scores = []
        for step, frame in enumerate(frames):
            current = self.hidden(frame)
            scores.append(self.head(self.fire(current if step else current * 2)))
        return torch.stack(scores)


class OtherFirstLayer(nn.Module):
    """Other weights at the first step."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.hidden = nn.Linear(6, 7), nn.Linear(6, 7)
        self.fire, self.head = neuron.IFNode(), nn.Linear(7, CLASSES)

    def forward(self, frames: Tensor) -> Tensor:
        layers = [self.first, *[self.hidden] * (STEPS - 1)]
        return torch.stack([self.head(self.fire(each(frame))) for each, frame in zip(layers, frames, strict=True)])


class FirstFrame(nn.Module):
    """What comes back first is a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.back, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES)
        self.fire = neuron.IFNode()

    def forward(self, frames: Tensor) -> Tensor:
        scores, before = [], frames[0]
        for frame in frames:
            before = self.fire(self.hidden(frame) + self.back(before))
            scores.append(self.head(before))
        return torch.stack(scores)


class Alternating(nn.Module):
    """What comes back is now of one layer, now of another."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.back, self.head = nn.Linear(6, 7), nn.Linear(7, 7), nn.Linear(7, CLASSES)
        self.fire1, self.fire2 = neuron.IFNode(), neuron.IFNode()

    def forward(self, frames: Tensor) -> Tensor:
        scores, before = [], [torch.zeros(1, 7), torch.zeros(1, 7)]
        for step, frame in enumerate(frames):
            spikes = self.fire1(self.hidden(frame) + self.back(before[step % 2]))
            before = [spikes, self.fire2(spikes)]
            scores.append(self.head(before[1]))
        return torch.stack(scores)


class SomeSteps(Middle):
    """Scores of the second half."""

    def forward(self, frames: Tensor) -> Tensor:
        return self.head(self.fire(self.hidden(frames)))[STEPS // 2 :].mean(0)  # type: ignore[no-any-return]


class Hidden(Middle):
    """A number of the sample's, by way of numpy's pointers."""

    def between(self, spikes: Tensor) -> Tensor:
        with torch._C.DisableTorchFunction():
            peek = spikes.detach().sum(0).clone()
        return spikes + peek


REFUSED: dict[str, tuple[Any, str]] = {
    "softmax": (Softmax, "softmax in the network's forward cannot be captured: it is no operation"),
    "attention": (Attention, "matmul in the network's forward cannot be captured: it multiplies"),
    "products": (Gate, "mul in the network's forward cannot be captured: it multiplies arrays"),
    "branches": (Branch, "__bool__ in the network's forward cannot be captured: what is done next depends"),
    "comparisons": (Comparison, "in the network's forward cannot be captured: it compares"),
    "items": (Item, "item in the network's forward cannot be captured: what is done next depends"),
    "decimals": (Decimal, "0.3 cannot be captured: its values have more than 16 binary digits"),
    "thirds": (Third, "in the network's forward cannot be captured: it divides by 3 in floating point"),
    "parts": (Cut, "fire cannot be captured: its elements are picked, or repeated"),
    "the future": (Reversed, "fire cannot be captured: step 0 of the network needs its spikes of step 3"),
    "another step": (OtherLastStep, "The network does something else at step 0 than at the last"),
    "another layer": (
        OtherFirstLayer,
        "something else at step 0 than at the last: linear in first is a Linear, at the last step linear in hidden",
    ),
    "another beginning": (FirstFrame, "something else at step 0 .* input begins with something else than zeros"),
    "another recurrence": (Alternating, "something else at step 2 .* reads something else of an earlier step"),
    "some steps": (SomeSteps, r"The scores are made of steps \[2, 3\] of 4"),
    "hidden values": (Hidden, "The network does something else with another sample"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name(case: str) -> None:
    make, message = REFUSED[case]
    torch.manual_seed(0)
    network = networks.scaled(make(), 0)
    with pytest.raises(CaptureError, match=message):
        captured(network, configured(network), counts(*FRAMES, high=1), input_format=QFormat(3, 0, signed=False))


@pytest.mark.parametrize(
    "fire",
    [neuron.QIFNode, neuron.CUBALIFNode, layer.SynapseFilter, neuron.TernaryIFNode],
    ids=lambda kind: kind.__name__,
)
def test_unsupported_neurons(fire: Any) -> None:
    arguments = {"c_decay": 0.5, "v_decay": 0.5} if fire is neuron.CUBALIFNode else {}
    network = networks.MultiStep(layer.Linear(6, 7), fire(**arguments), layer.Linear(7, CLASSES))
    with pytest.raises(CaptureError, match=rf"1 \({fire.__name__}\) cannot be captured"):
        captured(network, configured(network), spikes(*FRAMES))


def test_input_on_no_grid() -> None:
    network = networks.MultiStep(layer.Linear(6, 7), neuron.IFNode(), layer.Linear(7, CLASSES))
    with pytest.raises(CaptureError, match=r"input cannot be captured: .* on no grid"):
        captured(network, configured(network), gaussian(*FRAMES))


def test_a_factor_of_scores_that_is_rounded_to_zero() -> None:
    network = networks.MeanOverTime(layer.Linear(6, 7), neuron.IFNode(), layer.Linear(7, CLASSES))
    config = configured(network, Rounding.TRUNCATION, extra={"reciprocal.3": QFormat(0, 1, signed=False)})
    with pytest.raises(CaptureError, match="mean in the network's forward cannot be captured: its factor is rounded"):
        captured(network, config, spikes(3, 1, 6))


def test_two_inputs() -> None:
    class Both(Middle):
        def forward(self, one: Tensor, other: Tensor | None = None) -> Tensor:
            assert other is not None
            return self.head(self.fire(self.hidden(one) + other))  # type: ignore[no-any-return]

    network = Both()
    frozen = freeze_network(quantize_network(network, configured(network)))
    with pytest.raises(CaptureError, match=r"several inputs at step 0, input 0 \[6\] and input 1 \[7\]"):
        capture(frozen, configured(network), (spikes(*FRAMES), spikes(STEPS, 1, 7)))


def test_more_than_one_sample() -> None:
    network = networks.MultiStep(layer.Linear(6, 7), neuron.IFNode(), layer.Linear(7, CLASSES))
    with pytest.raises(CaptureError, match=re.escape("got the shape [4, 2, 5]: give a sample of a batch of 1")):
        captured(network, configured(network), spikes(STEPS, 2, 6))


def test_a_float_network() -> None:
    network = networks.MultiStep(layer.Linear(6, 7), neuron.IFNode(), layer.Linear(7, CLASSES))
    with pytest.raises(ValueError, match="network must be quantized"):
        capture(network, configured(network), spikes(*FRAMES))


def test_a_neuron_that_is_reset_in_between() -> None:
    class Forgetful(Middle):
        def forward(self, frames: Tensor) -> Tensor:
            total: Any = 0
            for frame in frames:
                total = total + self.head(self.fire(self.hidden(frame)))
                self.fire.reset()
            return total  # type: ignore[no-any-return]

    network = Forgetful("s")
    with pytest.raises(CaptureError, match="fire cannot be captured: its state is reset"):
        captured(network, configured(network), spikes(*FRAMES))
