"""A spiking network whose layers learn by losses of their own, after DECOLLE.

Kaiser, Mostafa and Neftci, "Synaptic Plasticity Dynamics for Deep Continuous Local Learning", Frontiers in Neuroscience
2020, https://doi.org/10.3389/fnins.2020.00424. Neither errors nor gradients pass from layer to layer or from step to
step: each layer has a readout and a loss, and two traces, Q and P, which a device stores, filter its input.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from spikingjelly.activation_based import base, functional, layer, surrogate
from torch import Tensor, nn

from qspinn_optuna.workloads.supervised.conv import ConvBlock, check_blocks, check_decay
from qspinn_optuna.workloads.supervised.turns import seeded


class Trace(base.MemoryModule):  # type: ignore[misc]
    """A trace of the input: trace = decay * trace + x.

    Args:
        decay: Part of it that remains after a step.
    """

    decay_names: ClassVar[tuple[str, ...]] = ("decay",)
    fixed_point_step = True

    def __init__(self, decay: float) -> None:
        super().__init__()
        check_decay(decay)
        self.decay = decay
        self.register_memory("trace", 0.0)

    def materialize_states(
        self, inputs: tuple[Any, ...], states: tuple[Any, ...], step_mode: str
    ) -> tuple[object, ...]:
        """The trace as large as the input."""
        return _like_input(inputs, states, step_mode)

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        """The trace after a step, which is the output too."""
        trace = self.decay * states[0] + inputs[0]
        return (trace,), (trace,)


class RefractoryNeuron(base.MemoryModule):  # type: ignore[misc]
    """A neuron that fires when its input is at the threshold plus a trace of its own spikes.

    Args:
        decay: Part of the trace, R, that remains after a step.
        v_threshold: Threshold of the input without the trace.
        surrogate_function: A step at 0 with a gradient.
    """

    decay_names: ClassVar[tuple[str, ...]] = ("decay",)
    fixed_point_step = True

    def __init__(self, decay: float, v_threshold: float = 1.0, surrogate_function: Any = None) -> None:
        super().__init__()
        check_decay(decay)
        self.decay = decay
        self.v_threshold = v_threshold
        self.surrogate_function = surrogate.ATan() if surrogate_function is None else surrogate_function
        self.register_memory("r", 0.0)

    def materialize_states(
        self, inputs: tuple[Any, ...], states: tuple[Any, ...], step_mode: str
    ) -> tuple[object, ...]:
        """The trace as large as the input."""
        return _like_input(inputs, states, step_mode)

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[Any, ...], **_: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        """Spikes, and the trace after a step; no gradient passes through the trace."""
        spikes = self.surrogate_function(inputs[0] - states[0] - self.v_threshold)
        return (spikes,), (self.decay * states[0] + spikes.detach(),)


class LocalLearningSNN(nn.Module):
    """Convolutions that learn locally; the sum of their readouts over time gives the scores.

    A layer is: trace Q of the input spikes, trace P of trace Q, convolution, refractory neurons, pooling, readout.

    Example:
        >>> snn = LocalLearningSNN((1, 16, 16), (ConvBlock(4, pool=2),), classes=10)
        >>> snn(torch.zeros(2, 5, 1, 16, 16)).shape
        torch.Size([2, 10])

    Args:
        frame_shape: Channels, height and width of a frame.
        blocks: The convolutions.
        classes: Number of classes.
        trace_decay: Of P and Q.
        refractory_decay: Of R.
        score_scale: Of the readouts summed over time.
        seed: Of the initial weights.

    Raises:
        ValueError: If there are no blocks, a decay is not between 0 and 1, or a frame is smaller than the pooling.
    """

    def __init__(
        self,
        frame_shape: tuple[int, int, int],
        blocks: tuple[ConvBlock, ...],
        classes: int,
        *,
        trace_decay: float = 0.5,
        refractory_decay: float = 0.5,
        score_scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_blocks(blocks)
        channels, height, width = frame_shape
        self.score_scale = score_scale
        self.blocks = nn.ModuleList()
        with seeded(seed):
            for block in blocks:
                height, width = block.output_side(height), block.output_side(width)
                self.blocks.append(
                    nn.ModuleDict(
                        {
                            "q": Trace(trace_decay),
                            "p": Trace(trace_decay),
                            "conv": layer.Conv2d(
                                channels, block.channels, block.kernel, block.stride, block.padding, bias=False
                            ),
                            "neuron": RefractoryNeuron(refractory_decay),
                            "pool": layer.MaxPool2d(block.pool) if block.pool > 1 else nn.Identity(),
                            "flatten": layer.Flatten(),
                            "readout": layer.Linear(block.channels * height * width, classes, bias=False),
                        }
                    )
                )
                channels = block.channels
        functional.set_step_mode(self, "m")

    def local_scores(self, frames: Tensor) -> list[Tensor]:
        """Class scores of every layer, [batch, classes], of frames, [batch, steps, channels, height, width]."""
        spikes = frames.transpose(0, 1)
        scores = []
        for block in self.blocks:
            assert isinstance(block, nn.ModuleDict)
            trace = block["p"](block["q"](spikes.detach()))
            spikes = block["pool"](block["neuron"](block["conv"](trace)))
            scores.append(block["readout"](block["flatten"](spikes)).sum(0) * self.score_scale)
        return scores

    def forward(self, frames: Tensor) -> Tensor:
        """The sum of :meth:`local_scores`."""
        return torch.stack(self.local_scores(frames)).sum(0)


def local_loss(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """The sum of the cross entropies of the layers' own scores: the loss for :func:`~.training.fit`.

    Example:
        >>> snn = LocalLearningSNN((1, 16, 16), (ConvBlock(4, pool=2),), classes=10)
        >>> local_loss(snn, torch.zeros(2, 5, 1, 16, 16), torch.tensor([3, 1])).shape
        torch.Size([])

    Raises:
        TypeError: If ``network`` is no :class:`LocalLearningSNN`.
    """
    if not isinstance(network, LocalLearningSNN):
        raise TypeError(f"network must be a LocalLearningSNN, got {type(network).__name__}.")
    losses = [nn.functional.cross_entropy(scores, labels) for scores in network.local_scores(inputs)]
    return torch.stack(losses).sum()


def _like_input(inputs: tuple[Any, ...], states: tuple[Any, ...], step_mode: str) -> tuple[object, ...]:
    x = inputs[0][0] if step_mode == "m" else inputs[0]
    state = states[0]
    same = isinstance(state, Tensor) and state.shape == x.shape
    return (state.to(x) if same else torch.zeros_like(x),)
