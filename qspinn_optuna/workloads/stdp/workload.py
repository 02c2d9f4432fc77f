"""The STDP network as a workload: trained once, quantized and measured by any configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.datasets import ImageSplits, LabeledImages
from qspinn_optuna.integer import IntegerModel, RateCoding, WinnerTakeAll, linear_chances
from qspinn_optuna.parameters import Deployment, ParameterSpec
from qspinn_optuna.workloads.answers import Answers, last_counts
from qspinn_optuna.workloads.progress import TrainingProgress, check_rungs
from qspinn_optuna.workloads.samples import IntegerSamples, Split
from qspinn_optuna.workloads.stdp.float_networks import FloatNetworks
from qspinn_optuna.workloads.stdp.measurement import BATCH, CONFIRMATION, TEST, VALIDATION, Measurement
from qspinn_optuna.workloads.stdp.memory import check_memory
from qspinn_optuna.workloads.stdp.network import STDPNetwork
from qspinn_optuna.workloads.stdp.quantization import (
    check_exact,
    parameters,
    quantize_readout,
    quantize_trained,
    train_quantized,
)
from qspinn_optuna.workloads.stdp.recent import LabeledLayer, RecentNetworks
from qspinn_optuna.workloads.stdp.responses import count_spikes, layer_of
from qspinn_optuna.workloads.stdp.settings import STDPSettings


class STDPWorkload(FloatNetworks):
    """An STDP network on images: a :class:`~qspinn_optuna.workloads.Workload`.

    The float network is trained when it is first needed; the *baseline* is that network with thresholds adapted as
    those of quantized networks are. Quantized networks are measured on integer codes.

    Example:
        >>> stdp = STDPWorkload(ImageSplits(images[:60], images[60:80], images[80:]), STDPSettings(neurons=10))

    Args:
        data: The images. Training uses the training set, every accuracy but the test's is of the validation set.
        settings: The network.
        seed: Of the baseline: initial weights and input spikes.
        deployment: What the device does. One that learns has no use for post-training quantization.
        threads: Threads that measure; training takes one. All cores if not given.
        rungs: Fractions of in-training quantization, rising, after which :meth:`evaluate` tells how far it
            is, for a pruner to stop it. They change no result, and each takes the time of up to 3,000 images.

    Attributes:
        kept_inputs: Numbers of the pixels that quantized networks take, intp [kept].

    Raises:
        TypeError: If ``data`` or ``settings`` are of another type.
        ValueError: If ``seed`` is negative, ``threads`` is under 1, ``rungs`` are no rising fractions, no input spikes
            often enough to be kept, there are fewer label images than classes, a device that learns has another
            inhibition at inference, or the machine has too little memory for so many neurons.
    """

    def __init__(
        self,
        data: ImageSplits,
        settings: STDPSettings | None = None,
        *,
        seed: int = 0,
        deployment: Deployment = Deployment.INFERENCE,
        threads: int | None = None,
        rungs: Sequence[float] = (),
    ) -> None:
        if not isinstance(data, ImageSplits):
            raise TypeError(f"data must be ImageSplits, such as embedded_mnist(), got {type(data).__name__}.")
        if settings is not None and not isinstance(settings, STDPSettings):
            raise TypeError(f"settings must be STDPSettings, got {type(settings).__name__}.")
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}.")
        settings = STDPSettings() if settings is None else settings
        self.threads = threads if threads is not None else os.cpu_count() or 1
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}.")
        self.rungs = check_rungs(tuple(rungs))
        _check_settings(settings, Deployment(deployment), data)
        self.kept_inputs = _find_kept_inputs(data.train, settings)
        measurement = Measurement(data, settings, self.kept_inputs, self.threads)
        super().__init__(measurement, seed, Deployment(deployment))
        self._recent = RecentNetworks()

    @cached_property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """What the device stores."""
        return parameters(self.settings, self._inputs, len(self.kept_inputs), self.data.classes, self.deployment)

    def evaluate_fresh(self, config: QuantizationConfig, seed: int) -> Iterator[Answers]:
        """Count as :meth:`evaluate` does, on up to 10,000 of the left-out images, or else with other input spikes."""
        yield from self._correct(self._quantized(config, seed), self._fresh_images, CONFIRMATION, seed)

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """Schemes by which the network can be quantized: a device that learns is quantized in training."""
        return (Scheme.ITQ,) if self.deployment is Deployment.LEARNING else tuple(Scheme)

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[TrainingProgress | Answers]:
        """Quantize the network and count its correct answers on the validation set.

        Args:
            config: The quantization.
            seed: Of the input spikes, stochastic rounding, and the initial weights of in-training quantization.

        Yields:
            The progress at each of ``rungs``, if ``config`` quantizes in training; then the answers so far, after
            every thousand images.

        Raises:
            InexactError: If the simulation cannot carry ``config`` exactly.
            ValueError: If a device that learns is to be quantized after training.
        """
        if config.scheme is Scheme.ITQ and self.rungs:
            layers = self._layers(config, seed, self.rungs)
            for fraction in self.rungs:
                yield self._progress(next(layers), config, fraction, seed)
            network = self._label(next(layers), config, seed)
        else:
            network = self._quantized(config, seed)
        yield from self._correct(network, self.data.validation, VALIDATION, seed)

    def test(self, config: QuantizationConfig, seed: int) -> float:
        """Accuracy of the quantized network on the test set: for the final figure only."""
        correct, seen = last_counts(self._correct(self._quantized(config, seed), self.data.test, TEST, seed))
        return correct / seen

    def integer_model(self, config: QuantizationConfig, seed: int = 0) -> IntegerModel:
        """The network that ``config`` gives, as a device stores it: it classifies the test set as :meth:`test` does.

        Arguments and errors are those of :meth:`evaluate`. A network that was evaluated lately is not trained again.
        """
        network = self._quantized(config, seed)
        coding = RateCoding(
            linear_chances(self.settings.input_rate), self.settings.steps, self._inputs, self.kept_inputs
        )
        return IntegerModel(coding, network.layer, network.readout, seed, first_sample=TEST)

    def integer_samples(
        self,
        config: QuantizationConfig,  # noqa: ARG002
        seed: int = 0,  # noqa: ARG002
        count: int | None = None,
    ) -> IntegerSamples:
        """The first test images, with all pixels: they are the same for all networks.

        Args:
            config: The quantization.
            seed: Of the quantization.
            count: Number of images; all if not given.
        """
        test = self.data.test
        first = test if count is None else test[:count]
        return IntegerSamples(first.images, first.labels, Split.TEST, len(first) == len(test))

    def simulate(self, config: QuantizationConfig, seed: int) -> STDPNetwork:
        """The network that ``config`` gives, in floating point; arguments and errors as in :meth:`evaluate`."""
        return next(self._simulations(config, seed))

    def describe(self) -> dict[str, Any]:
        """What accuracies depend on: the network, the data, also for the test, the seed of the baseline."""
        return {
            "workload": "stdp",
            "settings": asdict(self.settings),
            "data": self.data.fingerprint,
            "test": self.data.test.fingerprint,
            "seed": self.seed,
            "deployment": self.deployment.value,
        }

    @property
    def _inputs(self) -> int:
        return int(self.data.train.images.shape[1])

    @property
    def _weight_sum(self) -> float:
        return self.settings.weight_sum * self._inputs

    def _without_dropped_inputs(self) -> STDPNetwork:
        weights = self.network.weights[self.kept_inputs]
        total = weights.sum(axis=0, dtype=np.float64)
        # A neuron that only knew dropped inputs keeps silent.
        factor = np.divide(self._weight_sum, total, out=np.zeros_like(total), where=total > 0)
        return STDPNetwork(
            (weights * factor).astype(np.float32), self.network.scale, self.network.theta, self.network.neuron
        )

    def _simulations(self, config: QuantizationConfig, seed: int, rungs: Sequence[float] = ()) -> Iterator[STDPNetwork]:
        """Networks at the rungs of training, if there are any, then the one that ``config`` gives."""
        check_exact(config, len(self.kept_inputs))
        if config.scheme not in self.schemes:
            raise ValueError("A device that learns is quantized in training: give the space schemes=(Scheme.ITQ,).")
        adaptation = self._measurement.adaptation(seed)
        if config.scheme is Scheme.ITQ:
            images = self.data.train.images[:, self.kept_inputs]
            yield from train_quantized(
                images, adaptation, config, self.settings, self.deployment, self._weight_sum, seed, rungs
            )
        else:
            yield quantize_trained(self._without_dropped_inputs(), adaptation, config, self.settings, seed)

    def _layers(self, config: QuantizationConfig, seed: int, rungs: Sequence[float] = ()) -> Iterator[WinnerTakeAll]:
        """The networks of :meth:`_simulations` as integers."""
        for network in self._simulations(config, seed, rungs):
            yield layer_of(network, config)

    def _quantized(self, config: QuantizationConfig, seed: int) -> LabeledLayer:
        """The network that ``config`` gives, with labels: remembered, or made."""
        known = self._recent.get(config, seed)
        return self._label(next(self._layers(config, seed)), config, seed) if known is None else known

    def _label(self, layer: WinnerTakeAll, config: QuantizationConfig, seed: int) -> LabeledLayer:
        """Label the neurons, and remember the network."""
        responses = self._measurement.class_responses(partial(count_spikes, layer), seed)
        network = LabeledLayer(layer, quantize_readout(responses, config, self.settings, seed))
        self._recent.add(config, seed, network)
        return network

    def _progress(
        self, layer: WinnerTakeAll, config: QuantizationConfig, fraction: float, seed: int
    ) -> TrainingProgress:
        """How far a training is: labels and accuracy by the first batch of each."""
        responses = self._measurement.class_responses(partial(count_spikes, layer), seed, images=BATCH)
        readout = quantize_readout(responses, config, self.settings, seed)
        *_, (correct, seen) = self._correct(
            LabeledLayer(layer, readout), self.data.validation[:BATCH], VALIDATION, seed
        )
        return TrainingProgress(fraction, correct, seen)

    def _correct(self, network: LabeledLayer, split: LabeledImages, first_image: int, seed: int) -> Iterator[Answers]:
        respond = partial(count_spikes, network.layer)
        return self._measurement.correct(respond, network.readout, split, first_image, seed)


def _find_kept_inputs(train: LabeledImages, settings: STDPSettings) -> NDArray[np.intp]:
    spikes = train.images.mean(axis=0) / 255 * settings.input_rate * settings.steps
    kept = np.flatnonzero((spikes > 0) & (spikes >= settings.minimum_input_spikes))
    if len(kept) == 0:
        raise ValueError(
            f"minimum_input_spikes must leave an input, got {settings.minimum_input_spikes}; "
            f"the most active input has {spikes.max():.3g} spikes an image."
        )
    return kept


def _check_settings(settings: STDPSettings, deployment: Deployment, data: ImageSplits) -> None:
    if deployment is Deployment.LEARNING and settings.inference_inhibition is not None:
        raise ValueError(
            "inference_inhibition must be None for a device that learns, which has one inhibition, "
            f"got {settings.inference_inhibition}."
        )
    if settings.label_images < data.classes:
        raise ValueError(
            f"label_images must be at least {data.classes}, one for each class, got {settings.label_images}."
        )
    check_memory(settings.neurons, data.train.images.shape[1])
