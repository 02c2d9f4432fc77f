"""A float network with its readout, beside which quantized ones are put."""

from __future__ import annotations

from functools import cached_property

from qspinn_optuna.datasets import LabeledImages
from qspinn_optuna.integer import MeanResponse
from qspinn_optuna.workloads.answers import Answers
from qspinn_optuna.workloads.stdp.class_responses import FloatClassWeights
from qspinn_optuna.workloads.stdp.measurement import Measurement, Readout
from qspinn_optuna.workloads.stdp.network import STDPNetwork
from qspinn_optuna.workloads.stdp.settings import ReadoutKind


class FloatClassifier:
    """A float network that takes all inputs, and what makes classes of its spikes.

    Args:
        network: The network.
        measurement: Measures it.
        seed: Of the input spikes.
    """

    def __init__(self, network: STDPNetwork, measurement: Measurement, seed: int) -> None:
        self.network = network
        self._measurement = measurement
        self._seed = seed

    @cached_property
    def readout(self) -> Readout:
        """Labels or class weights, from the responses to the label images."""
        responses = self._measurement.class_responses(self.network.count_spikes, self._seed, kept=False)
        if self._measurement.settings.readout is ReadoutKind.CLASS_WEIGHTS:
            return FloatClassWeights(responses.class_weights())
        return MeanResponse(responses.labels(), self._measurement.data.classes)

    def answers(self, split: LabeledImages, first_image: int) -> Answers:
        """Which images it classifies rightly.

        Args:
            split: The images.
            first_image: Number of the first, which keys the input spikes.
        """
        *_, answers = self._measurement.correct(
            self.network.count_spikes, self.readout, split, first_image, self._seed, kept=False
        )
        return answers

    def accuracy(self, split: LabeledImages, first_image: int) -> float:
        """The part of them; arguments as in :meth:`answers`."""
        correct, seen = self.answers(split, first_image)
        return correct / seen
