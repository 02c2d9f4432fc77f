"""A spiking network for sequences, feed-forward or recurrent."""

from __future__ import annotations

from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from qspinn_optuna.workloads.supervised.conv import check_decay
from qspinn_optuna.workloads.supervised.turns import seeded


class SequenceSNN(nn.Module):
    """Two layers of leaky integrate-and-fire neurons, and a linear readout summed over time.

    Input: sequences, [batch, steps, features]. Output: class scores, [batch, classes].

    Args:
        features: Values of a step.
        hidden: Neurons of each layer.
        classes: Number of classes.
        recurrent: Whether the first layer gets its own spikes of the step before, by weights between all its neurons.
        decay: Part of a membrane potential that remains after a step.
        gain: Factor of the initial weights of the first two layers, so that an untrained network passes spikes on.
        score_scale: Of the readout summed over time.
        seed: Of the initial weights.

    Raises:
        ValueError: If a size is under 1, or ``decay`` is not between 0 and 1.
    """

    def __init__(
        self,
        features: int,
        hidden: int,
        classes: int,
        *,
        recurrent: bool = False,
        decay: float = 0.95,
        gain: float = 2.0,
        score_scale: float = 0.25,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_decay(decay)
        for name, size in (("features", features), ("hidden", hidden), ("classes", classes)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}.")
        self.features = features
        self.score_scale = score_scale
        with seeded(seed):
            self.input_layer = layer.Linear(features, hidden, bias=False)
            self.hidden_layer = layer.Linear(hidden, hidden, bias=False)
            self.readout = layer.Linear(hidden, classes, bias=False)
            first = _neurons(decay)
            # A container keeps the spikes of the step before as a state: they are counted, and can be deleted.
            self.neurons1 = layer.ElementWiseRecurrentContainer(first, Feedback(hidden)) if recurrent else first
            self.neurons2 = _neurons(decay)
        self.input_layer.weight.data.mul_(gain)
        self.hidden_layer.weight.data.mul_(gain)
        functional.set_step_mode(self, "m")
        if recurrent:
            first.step_mode = "s"  # The container runs the sequence.

    def forward(self, sequences: Tensor) -> Tensor:
        """Class scores, [batch, classes], of sequences, [batch, steps, features].

        Raises:
            ValueError: If the sequences have no step, or another number of values a step.
        """
        if sequences.ndim != 3 or sequences.shape[1] < 1 or sequences.shape[2] != self.features:
            raise ValueError(f"sequences must be [batch, steps, {self.features} values], got {list(sequences.shape)}.")
        spikes = self.neurons1(self.input_layer(sequences.transpose(0, 1)))
        scores: Tensor = self.readout(self.neurons2(self.hidden_layer(spikes)))
        return scores.sum(0) * self.score_scale


class Feedback(nn.Module):
    """What neurons take: their input, and their own spikes of the step before by weights.

    Args:
        neurons: Number of neurons.
    """

    def __init__(self, neurons: int) -> None:
        super().__init__()
        self.recurrent = nn.Linear(neurons, neurons, bias=False)

    def forward(self, spikes: Tensor, currents: Tensor) -> Tensor:
        """The sum, [batch, neurons]."""
        taken: Tensor = currents + self.recurrent(spikes)
        return taken


def _neurons(decay: float) -> neuron.LIFNode:
    return neuron.LIFNode(
        tau=1 / (1 - decay), decay_input=False, detach_reset=True, surrogate_function=surrogate.ATan()
    )
