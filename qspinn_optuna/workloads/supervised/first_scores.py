"""What networks put out for a few samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import functional
from torch import Tensor, nn

from qspinn_optuna.networks.running.batches import Inputs, first_samples, labeled_inputs_of
from qspinn_optuna.workloads.supervised.training import Scores, class_scores
from qspinn_optuna.workloads.supervised.turns import seeded


class FirstScores:
    """Class scores of networks for the first samples of the calibration, which need no labels.

    Args:
        calibration: Batches of inputs, with labels or without.
        scores: Takes class scores out of the networks' outputs; None if that is what they put out.
        seed: Of what networks draw themselves.
    """

    def __init__(self, calibration: Iterable[Any], scores: Scores | None, seed: int) -> None:
        self._calibration = calibration
        self._scores = scores
        self._seed = seed
        self._inputs: dict[int, list[Inputs]] = {}

    @torch.no_grad()
    def of(self, network: nn.Module, samples: int, baseline: nn.Module) -> NDArray[np.float64]:
        """The scores of a network, [samples, classes].

        Args:
            network: Put into evaluation mode; its states are reset before each batch and at the end.
            samples: Number of samples, rounded up to whole batches if it is not clear what a sample of them is.
            baseline: What is called once, to see how many samples a batch without labels has.
        """
        if samples not in self._inputs:
            with seeded(self._seed):
                self._inputs[samples] = self._first_inputs(samples, baseline)
        with seeded(self._seed):
            found = [self._of_batch(network, inputs).cpu().double().numpy() for inputs in self._inputs[samples]]
        return np.concatenate(found)

    def _first_inputs(self, samples: int, baseline: nn.Module) -> list[Inputs]:
        found: list[Inputs] = []
        missing = samples
        for inputs, labels in labeled_inputs_of(self._calibration):
            are_labels = isinstance(labels, Tensor) and labels.ndim > 0
            count = len(labels if are_labels else self._of_batch(baseline, inputs))
            found.append(first_samples(inputs, count, missing))
            missing -= count
            if missing <= 0:
                break
        return found

    def _of_batch(self, network: nn.Module, inputs: Inputs) -> Tensor:
        network.eval()
        functional.reset_net(network)
        scores = class_scores(network, inputs, self._scores)
        functional.reset_net(network)
        return scores
