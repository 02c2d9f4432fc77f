"""Quantized networks of a workload as integer models, and samples as these take them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.integer import IntegerModel
from qspinn_optuna.networks import capture
from qspinn_optuna.networks.capture import SampleCoder, input_format_of
from qspinn_optuna.networks.running.batches import Inputs, inputs_of, labeled_inputs_of, tensors
from qspinn_optuna.networks.running.state_sizes import StateSizes, state_sizes
from qspinn_optuna.workloads.samples import IntegerSamples, Split
from qspinn_optuna.workloads.supervised.trained_networks import TrainedNetworks
from qspinn_optuna.workloads.supervised.training import Batches, Scores, labeled
from qspinn_optuna.workloads.supervised.turns import made_once, seeded


class Captures:
    """Captures networks with the first calibration sample.

    Args:
        trained: The float networks.
        calibration: Batches. Of inputs that are on a grid already, the format holds all of them.
        scores: Takes class scores out of the networks' outputs.
        seed: Of what the networks draw from torch's global generators.
    """

    def __init__(self, trained: TrainedNetworks, calibration: Iterable[Any], scores: Scores | None, seed: int) -> None:
        self._trained = trained
        self._calibration = calibration
        self._scores = scores
        self._seed = seed

    def model(self, network: nn.Module, config: QuantizationConfig) -> IntegerModel:
        """A quantized network as integers; see :func:`~.capture.capture`, which has the errors."""
        with seeded(self._seed):
            return capture(network, config, self._one_sample, scores=self._scores, input_format=self._input_format)

    def samples(
        self, network: nn.Module, config: QuantizationConfig, batches: Batches, split: Split, count: int | None
    ) -> IntegerSamples:
        """The first samples of batches as the model of a network takes them.

        Args:
            network: A quantized network.
            config: By which it was quantized.
            batches: Inputs and labels.
            split: What they are for.
            count: Number of samples; all if not given.
        """
        inputs, labels, is_whole = [], [], True
        with seeded(self._seed):
            coder = SampleCoder(network, config, scores=self._scores, input_format=self._input_format)
            for number, (sample, label) in enumerate(self._single(batches)):
                if number == count:
                    is_whole = False
                    break
                inputs.append(coder.codes(sample, number))
                labels.append(label)
        return IntegerSamples(np.concatenate(inputs), np.array(labels), split, is_whole)

    def _single(self, batches: Batches) -> Iterator[tuple[Inputs, int]]:
        """Each sample as a batch of 1, and its class."""
        for batch in batches:
            inputs, labels = labeled(batch)
            for number, label in enumerate(labels.tolist()):
                yield self._sizes.sample(inputs, number), label

    @made_once
    def _sizes(self) -> StateSizes:
        inputs, labels = next(labeled_inputs_of(self._calibration, "calibration"))
        count = len(labels) if isinstance(labels, Tensor) and labels.ndim else None
        return state_sizes(self._trained.baseline_network, inputs, count)

    @made_once
    def _one_sample(self) -> Inputs:
        """The first calibration sample, as a batch of 1."""
        return self._sizes.sample(next(inputs_of(self._calibration, "calibration")), 0)

    @made_once
    def _input_format(self) -> QFormat | None:
        """The format of calibration inputs; None if they are on no grid."""
        batches = inputs_of(self._calibration, "calibration")
        return input_format_of(one for inputs in batches for one in tensors(inputs))
