"""Your own network: from a SpikingJelly module to the smallest version of it that is accurate enough.

Run it (`qspinn run own_network.py`), read it from top to bottom, put your network and data in. Run again, the study
goes on and nothing is trained twice: trials are in qspinn.db, the float network is in qspinn-cache.
"""

import sys
from functools import partial

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from qspinn_optuna import QuantizationSpace, SupervisedWorkload, fit
from qspinn_optuna.cli import main_of_file
from qspinn_optuna.datasets import LabeledImages, embedded_mnist


# Any torch network will do; its neurons are SpikingJelly's, or MemoryModules of your own. It returns class scores,
# [batch, classes], or those of every time step, [steps, batch, classes].
class MyNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        lif = neuron.LIFNode(tau=2.0, decay_input=False, detach_reset=True, surrogate_function=surrogate.ATan())
        self.layers = nn.Sequential(layer.Linear(784, 100, bias=False), lif, layer.Linear(100, 10, bias=False))
        functional.set_step_mode(self, "m")

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.expand(8, *images.shape))  # the same image in each of 8 time steps


# Your data, as batches of (inputs, labels). Inputs that are no spikes or other fixed-point numbers, such as
# pixels / 255, get a width of their own. Every choice is made on the validation batches; the test is for the end.
def batches(part: LabeledImages, shuffle: bool = False) -> DataLoader[tuple[Tensor, ...]]:
    spikes = torch.from_numpy(part.images > 127).float()
    return DataLoader(TensorDataset(spikes, torch.from_numpy(part.labels).long()), batch_size=50, shuffle=shuffle)


# What `qspinn run own_network.py` searches.
def workload() -> SupervisedWorkload:
    data = embedded_mnist()
    # How it is trained: any function of a network and a seed that returns the network; `fit` is a ready-made one.
    # Quantized networks are fine-tuned the same way: on the grid in the forward pass, the gradient straight through.
    train = partial(fit, batches=batches(data.train, shuffle=True), epochs=5, learning_rate=2e-3)
    return SupervisedWorkload(
        MyNetwork,  # the class: made with a seed, so that the next run begins with the same weights
        train=train,
        fine_tune=partial(train, epochs=2, learning_rate=5e-4),
        calibration=batches(data.train),  # in an order that does not change
        validation=batches(data.validation),
        test=batches(data.test),
        cache="qspinn-cache",
    )


# Widths to search: one for each family here. Without this function, the same.
def space(workload: SupervisedWorkload) -> QuantizationSpace:
    return QuantizationSpace(workload.parameters, bits=(2, 8), ties="family")


if __name__ == "__main__":
    sys.exit(main_of_file(__file__))
