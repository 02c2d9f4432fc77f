"""A convolutional spiking network for frames of events, trained by surrogate gradients."""

from __future__ import annotations

from dataclasses import dataclass

from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from qspinn_optuna.workloads.supervised.turns import seeded


@dataclass(frozen=True)
class ConvBlock:
    """A convolution, neurons, and maximum pooling if ``pool`` is over 1.

    Example:
        >>> ConvBlock(channels=8, kernel=3, pool=2)
        ConvBlock(channels=8, kernel=3, stride=1, pool=2)

    Args:
        channels: Output channels.
        kernel: Width and height of the kernels; frames are padded by half of it.
        stride: Of the convolution.
        pool: Width and height of the pooling window.
    """

    channels: int
    kernel: int = 3
    stride: int = 1
    pool: int = 1

    def __post_init__(self) -> None:
        for name in ("channels", "kernel", "stride", "pool"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")

    @property
    def padding(self) -> int:
        """Pixels around a frame."""
        return self.kernel // 2

    def output_side(self, side: int) -> int:
        """Width or height of the output for a frame of that side.

        Raises:
            ValueError: If the frame is smaller than the pooling window.
        """
        made = ((side + 2 * self.padding - self.kernel) // self.stride + 1) // self.pool
        if made < 1:
            raise ValueError(f"A frame must not be smaller than the pooling, {self.pool} pixels, got {side}.")
        return made


def check_blocks(blocks: tuple[ConvBlock, ...]) -> None:
    """Refuse a network without convolutions.

    Raises:
        ValueError: If there are no blocks.
    """
    if not blocks:
        raise ValueError("blocks must have at least one ConvBlock, got none.")


def check_decay(decay: float) -> None:
    """Refuse a decay that keeps nothing of a state, or all of it.

    Raises:
        ValueError: If ``decay`` is not between 0 and 1.
    """
    if not 0 < decay < 1:
        raise ValueError(f"decay must be between 0 and 1, both excluded, got {decay}.")


class ConvSNN(nn.Module):
    """Convolutions of leaky integrate-and-fire neurons, and a linear readout summed over time.

    Input: frames, [batch, steps, channels, height, width]. Output: class scores, [batch, classes].

    Example:
        >>> snn = ConvSNN((1, 16, 16), (ConvBlock(4, pool=2), ConvBlock(8, pool=2)), classes=10)
        >>> snn(torch.zeros(2, 5, 1, 16, 16)).shape
        torch.Size([2, 10])

    Args:
        frame_shape: Channels, height and width of a frame.
        blocks: The convolutions.
        classes: Number of classes.
        decay: Part of a membrane potential that remains after a step.
        gain: Factor of the initial kernels, so that an untrained network passes spikes on.
        score_scale: Of the readout summed over time.
        seed: Of the initial weights.

    Raises:
        ValueError: If there are no blocks, ``decay`` is not between 0 and 1, or a frame is smaller than the pooling.
    """

    def __init__(
        self,
        frame_shape: tuple[int, int, int],
        blocks: tuple[ConvBlock, ...],
        classes: int,
        *,
        decay: float = 0.5,
        gain: float = 3.0,
        score_scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_blocks(blocks)
        check_decay(decay)
        channels, height, width = frame_shape
        self.score_scale = score_scale
        layers: dict[str, nn.Module] = {}
        with seeded(seed):
            for number, block in enumerate(blocks, start=1):
                conv = layer.Conv2d(channels, block.channels, block.kernel, block.stride, block.padding, bias=False)
                conv.weight.data.mul_(gain)
                layers[f"conv{number}"] = conv
                layers[f"lif{number}"] = neuron.LIFNode(
                    tau=1 / (1 - decay),
                    decay_input=False,
                    detach_reset=True,
                    surrogate_function=surrogate.ATan(),
                )
                if block.pool > 1:
                    layers[f"pool{number}"] = layer.MaxPool2d(block.pool)
                channels = block.channels
                height, width = block.output_side(height), block.output_side(width)
            layers["flatten"] = layer.Flatten()
            layers["readout"] = layer.Linear(channels * height * width, classes, bias=False)
        for name, module in layers.items():
            self.add_module(name, module)
        functional.set_step_mode(self, "m")

    def forward(self, frames: Tensor) -> Tensor:
        """Class scores, [batch, classes], of frames, [batch, steps, channels, height, width]."""
        x = frames.transpose(0, 1)
        for module in self.children():
            x = module(x)
        return x.sum(0) * self.score_scale
