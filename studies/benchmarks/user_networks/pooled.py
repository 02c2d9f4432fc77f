"""The convolutional network of the files on pixels and standardised digits."""

from __future__ import annotations

from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

STEPS = 4
CHANNELS = 16


class PooledByThree(nn.Module):
    """A convolution, an average pool of 3 and normalization before the neurons; then a hidden layer, and the scores."""

    def __init__(self) -> None:
        super().__init__()

        def lif() -> nn.Module:
            made: nn.Module = neuron.LIFNode(decay_input=False, detach_reset=True, surrogate_function=surrogate.ATan())
            return made

        self.layers = nn.Sequential(
            layer.Conv2d(1, CHANNELS, 5, padding=2),
            layer.AvgPool2d(3),
            layer.BatchNorm2d(CHANNELS),
            lif(),
            layer.Flatten(),
            layer.Linear(CHANNELS * 9**2, 64),
            lif(),
            layer.Linear(64, 10),
        )
        functional.set_step_mode(self, "m")

    def forward(self, images: Tensor) -> Tensor:
        """Scores of every step, [steps, batch, classes], of images that are shown at each."""
        scores: Tensor = self.layers(images.expand(STEPS, -1, -1, -1, -1))
        return scores
