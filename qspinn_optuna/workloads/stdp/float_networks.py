"""The float networks of a workload: as trained, and as the baseline beside which quantized networks are put."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from functools import cached_property

from qspinn_optuna.datasets import LabeledImages
from qspinn_optuna.parameters import Deployment
from qspinn_optuna.workloads.answers import Answers, Fresh
from qspinn_optuna.workloads.stdp.float_classifier import FloatClassifier
from qspinn_optuna.workloads.stdp.measurement import CONFIRMATION, TEST, VALIDATION, Measurement
from qspinn_optuna.workloads.stdp.network import STDPNetwork, adapt_thresholds, train
from qspinn_optuna.workloads.stdp.settings import STDPSettings

_MOST_FRESH = 10_000
"""Left-out images that a confirmation measures with."""


class FloatNetworks:
    """The float side of a workload. Each network is trained or adapted when it is first needed.

    Args:
        measurement: Measures networks, and has the images and the settings.
        seed: Of initial weights and input spikes.
        deployment: What the device does.
    """

    def __init__(self, measurement: Measurement, seed: int, deployment: Deployment) -> None:
        self.data = measurement.data
        self.settings = measurement.settings
        self.seed = seed
        self.deployment = deployment
        self._measurement = measurement

    @cached_property
    def network(self) -> STDPNetwork:
        """The float network as trained, with all inputs; warns if its thresholds are beyond those of the formats."""
        network = self.ready_to_infer(train(self.data.train.images, self.settings, self.seed))
        _warn_of_high_thresholds(network, self.settings)
        return network

    def ready_to_infer(self, network: STDPNetwork) -> STDPNetwork:
        """A trained float network with the inhibition of inference, to which its thresholds are adapted."""
        if self.settings.inference_inhibition is None:
            return network
        neuron = network.neuron._replace(inhibition=self.settings.inference_inhibition)
        trains = self._measurement.adaptation(self.seed, kept=False)
        return adapt_thresholds(replace(network, neuron=neuron), trains, self.settings, self.seed)

    @cached_property
    def baseline_network(self) -> STDPNetwork:
        """The float network with thresholds that are adapted on the images on which those of quantized networks are."""
        if not self.baseline_treatment or self.settings.inference_inhibition is not None:
            return self.network
        trains = self._measurement.adaptation(self.seed, kept=False)
        return adapt_thresholds(self.network, trains, self.settings, self.seed)

    def classifier(self, network: STDPNetwork) -> FloatClassifier:
        """A float network with a readout of its own, such as the one before its thresholds are adapted."""
        return FloatClassifier(network, self._measurement, self.seed)

    @property
    def baseline_treatment(self) -> str:
        """What the baseline had after its training, as quantized networks have, in words."""
        images = min(self.settings.adaptation_images, len(self.data.train))
        adapts = self.deployment is Deployment.INFERENCE and images > 0
        return f"its thresholds adapted on the same {images:,} images as those of quantized networks" if adapts else ""

    @cached_property
    def baseline_answers(self) -> Answers:
        """Answers of the baseline on the validation set."""
        return self._baseline.answers(self.data.validation, VALIDATION)

    @property
    def baseline(self) -> float:
        """Accuracy of the baseline on the validation set."""
        correct, seen = self.baseline_answers
        return correct / seen

    @cached_property
    def test_baseline(self) -> float:
        """Accuracy of the baseline on the test set."""
        return self._baseline.accuracy(self.data.test, TEST)

    @property
    def fresh(self) -> Fresh:
        """What a confirmation has that evaluations have not: training images that were left out, if there are any."""
        return Fresh.DRAWS if self.data.reserve is None else Fresh.SAMPLES

    @property
    def fresh_fingerprint(self) -> str:
        """A digest of the images of a confirmation."""
        return self._fresh_images.fingerprint

    @cached_property
    def fresh_baseline(self) -> Answers:
        """Answers of the baseline to what :meth:`evaluate_fresh` measures with."""
        return self._baseline.answers(self._fresh_images, CONFIRMATION)

    @cached_property
    def _baseline(self) -> FloatClassifier:
        return self.classifier(self.baseline_network)

    @property
    def _fresh_images(self) -> LabeledImages:
        return self.data.validation if self.data.reserve is None else self.data.reserve[:_MOST_FRESH]


def _warn_of_high_thresholds(network: STDPNetwork, settings: STDPSettings) -> None:
    highest = settings.threshold + float(network.theta.max())
    if highest > settings.voltage_range:
        warnings.warn(
            f"Thresholds reach {highest:.0f}, where quantized membranes, which end at voltage_range="
            f"{settings.voltage_range:g}, never come: those neurons will be silent. "
            f"Give STDPSettings voltage_range={2.0 ** math.ceil(math.log2(highest)):g}.",
            stacklevel=3,
        )
