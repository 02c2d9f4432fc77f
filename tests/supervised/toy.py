"""A task that a tiny spiking network learns in a moment: which half of the inputs is active."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from qspinn_optuna.workloads.supervised import SupervisedWorkload, fit

INPUTS, CLASSES, STEPS = 8, 2, 4


class ToyNetwork(nn.Module):
    """Two layers; input [batch, steps, inputs], output [steps, batch, classes]."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.hidden = layer.Linear(INPUTS, 12, bias=False)
        self.lif = neuron.LIFNode(tau=2.0, decay_input=False, surrogate_function=surrogate.ATan())
        self.readout = layer.Linear(12, CLASSES, bias=False)
        functional.set_step_mode(self, "m")
        self.hidden.weight.data.mul_(3)

    def forward(self, spikes: Tensor) -> Any:
        return self.readout(self.lif(self.hidden(spikes.transpose(0, 1))))


def toy_batches(seed: int, batches: int = 4, batch_size: int = 10) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(batches):
        labels = torch.randint(CLASSES, (batch_size,), generator=generator)
        rates = torch.full((batch_size, INPUTS), 0.1)
        for sample, label in enumerate(labels.tolist()):
            rates[sample, label * INPUTS // 2 : (label + 1) * INPUTS // 2] = 0.7
        spikes = torch.rand((batch_size, STEPS, INPUTS), generator=generator) < rates[:, None]
        made.append((spikes.float(), labels))
    return made


def toy_workload(**changes: Any) -> SupervisedWorkload:
    train = partial(fit, batches=toy_batches(0), epochs=8, learning_rate=0.02, progress=False)
    arguments: dict[str, Any] = {
        "train": train,
        "fine_tune": partial(train, epochs=2, learning_rate=0.005),
        "calibration": toy_batches(0, 2),
        "validation": toy_batches(1),
        "test": toy_batches(2),
    }
    return SupervisedWorkload(changes.pop("network", ToyNetwork()), **arguments | changes)
