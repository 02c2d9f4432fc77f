"""The STDP network as a workload: trained once, quantized and measured by any configuration."""

from __future__ import annotations

import itertools
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.datasets import ImageSplits, LabeledImages
from qspinn_optuna.parameters import Deployment, ParameterSpec
from qspinn_optuna.workloads.progress import TrainingProgress, check_rungs
from qspinn_optuna.workloads.stdp.integer import IntegerNetwork
from qspinn_optuna.workloads.stdp.network import STDPNetwork, train
from qspinn_optuna.workloads.stdp.quantization import check_exact, parameters, quantize_trained, train_quantized
from qspinn_optuna.workloads.stdp.readout import assign_labels, vote
from qspinn_optuna.workloads.stdp.settings import STDPSettings
from qspinn_optuna.workloads.stdp.spikes import SpikeTrains, encode_images

_BATCH = 1_000
"""Images between two partial results, once so many are seen; before, after an eighth, a quarter and a half of them."""

# Numbers of the first images, far from those of training, so that every set has spikes of its own.
_LABELS = 1_000_000_000
_VALIDATION = 2_000_000_000
_TEST = 4_000_000_000

_Network = STDPNetwork | IntegerNetwork


class STDPWorkload:
    """An STDP network on images: a :class:`~qspinn_optuna.workloads.Workload`.

    The float baseline is trained when it is first needed. Quantized networks are measured on integer codes.

    Args:
        data: The images. Training uses the training set, every accuracy but the test's is of the tuning set.
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
        ValueError: If ``seed`` is negative, ``threads`` is under 1, ``rungs`` are no rising fractions, or no
            input spikes often enough to be kept.
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
        self.data = data
        self.settings = STDPSettings() if settings is None else settings
        self.seed = seed
        self.deployment = Deployment(deployment)
        self.threads = threads if threads is not None else os.cpu_count() or 1
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}.")
        self.rungs = check_rungs(tuple(rungs))
        self.kept_inputs = self._find_kept_inputs()
        self._spikes: dict[tuple[int, int, int, int], SpikeTrains] = {}

    @cached_property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """What the device stores."""
        return parameters(self.settings, self._inputs, len(self.kept_inputs), self.data.classes, self.deployment)

    @cached_property
    def network(self) -> STDPNetwork:
        """The float baseline, with all inputs; warns if its thresholds are beyond the range of the formats."""
        network = train(self.data.train.images, self.settings, self.seed)
        highest = self.settings.threshold + float(network.theta.max())
        if highest > self.settings.voltage_range:
            warnings.warn(
                f"Thresholds reach {highest:.0f}, where quantized membranes, which end at voltage_range="
                f"{self.settings.voltage_range:g}, never come: those neurons will be silent. "
                f"Give STDPSettings voltage_range={2.0 ** math.ceil(math.log2(highest)):g}.",
                stacklevel=2,
            )
        return network

    @cached_property
    def baseline(self) -> float:
        """Accuracy of the float baseline on the tuning set."""
        return self._accuracy(self.network, self.data.validation, _VALIDATION)

    @cached_property
    def test_baseline(self) -> float:
        """Accuracy of the float baseline on the test set."""
        return self._accuracy(self.network, self.data.test, _TEST)

    def evaluate(self, config: QuantizationConfig, seed: int) -> Iterator[TrainingProgress | tuple[int, int]]:
        """Quantize the network and count its correct answers on the tuning set.

        Args:
            config: The quantization.
            seed: Of the input spikes, stochastic rounding, and the initial weights of in-training quantization.

        Yields:
            The progress at each of ``rungs``, if ``config`` quantizes in training; then (correct, seen),
            after every thousand images.

        Raises:
            ValueError: If the simulation cannot carry ``config`` exactly, or a device that learns is to be quantized
                after training.
        """
        networks = self._networks(config, seed, self.rungs)
        for fraction in self.rungs if config.scheme is Scheme.ITQ else ():
            network = IntegerNetwork.from_network(next(networks), config)
            yield self._look(network, fraction, seed)
        network = IntegerNetwork.from_network(next(networks), config)
        yield from self._measure(network, self.data.validation, _VALIDATION, seed)

    def test(self, config: QuantizationConfig, seed: int) -> float:
        """Accuracy of the quantized network on the test set: for the final figure only."""
        return _last(self._measure(self.quantize(config, seed), self.data.test, _TEST, seed))

    def quantize(self, config: QuantizationConfig, seed: int) -> IntegerNetwork:
        """The network that ``config`` gives, on integer codes; arguments and errors as in :meth:`evaluate`."""
        return IntegerNetwork.from_network(self.simulate(config, seed), config)

    def simulate(self, config: QuantizationConfig, seed: int) -> STDPNetwork:
        """The network that ``config`` gives, in floating point; arguments and errors as in :meth:`evaluate`."""
        return next(self._networks(config, seed))

    def describe(self) -> dict[str, Any]:
        """What accuracies depend on: the network, the data, the seed of the baseline."""
        return {
            "workload": "stdp",
            "settings": asdict(self.settings),
            "data": self.data.fingerprint,
            "seed": self.seed,
            "deployment": self.deployment.value,
        }

    @property
    def _inputs(self) -> int:
        return int(self.data.train.images.shape[1])

    @property
    def _weight_sum(self) -> float:
        return self.settings.weight_sum * self._inputs

    def _find_kept_inputs(self) -> NDArray[np.intp]:
        settings = self.settings
        spikes = self.data.train.images.mean(axis=0) / 255 * settings.input_rate * settings.steps
        kept = np.flatnonzero((spikes > 0) & (spikes >= settings.minimum_input_spikes))
        if len(kept) == 0:
            raise ValueError(
                f"minimum_input_spikes must leave an input, got {settings.minimum_input_spikes}; "
                f"the most active input has {spikes.max():.3g} spikes an image."
            )
        return kept

    def _without_dropped_inputs(self) -> STDPNetwork:
        weights = self.network.weights[self.kept_inputs]
        total = weights.sum(axis=0, dtype=np.float64)
        # A neuron that only knew dropped inputs keeps silent.
        factor = np.divide(self._weight_sum, total, out=np.zeros_like(total), where=total > 0)
        return STDPNetwork(
            (weights * factor).astype(np.float32), self.network.scale, self.network.theta, self.network.neuron
        )

    def _networks(self, config: QuantizationConfig, seed: int, looks: Sequence[float] = ()) -> Iterator[STDPNetwork]:
        """Networks at the looks in training, if there is any, then the one that ``config`` gives."""
        check_exact(config, len(self.kept_inputs))
        adaptation_images = self.data.train.images[: self.settings.adaptation_images, self.kept_inputs]
        if config.scheme is Scheme.ITQ:
            images = self.data.train.images[:, self.kept_inputs]
            yield from train_quantized(
                images, adaptation_images, config, self.settings, self.deployment, self._weight_sum, seed, looks
            )
            return
        if self.deployment is Deployment.LEARNING:
            raise ValueError("A device that learns is quantized in training: give the space schemes=(Scheme.ITQ,).")
        yield quantize_trained(self._without_dropped_inputs(), adaptation_images, config, self.settings, seed)

    def _look(self, network: _Network, fraction: float, seed: int) -> TrainingProgress:
        """How far a training is: labels and accuracy by the first batch of each."""
        *_, (correct, seen) = self._measure(
            network, self.data.validation[:_BATCH], _VALIDATION, seed, label_images=_BATCH
        )
        return TrainingProgress(fraction, correct, seen)

    def _accuracy(self, network: _Network, split: LabeledImages, first_image: int) -> float:
        return _last(self._measure(network, split, first_image, self.seed))

    def _measure(
        self, network: _Network, split: LabeledImages, first_image: int, seed: int, label_images: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Label the neurons, by the first of the label images if so told, then count correct answers by batches."""
        for key in [key for key in tuple(self._spikes) if key[-1] != seed]:
            self._spikes.pop(key, None)
        inputs = self.kept_inputs if isinstance(network, IntegerNetwork) else np.arange(self._inputs)
        training = self.data.train
        label_split = training[-self.settings.label_images :][:label_images]
        counts = np.concatenate(list(self._count_spikes(network, label_split, inputs, _LABELS, seed)))
        neuron_labels = assign_labels(counts, label_split.labels, self.data.classes)
        correct, seen = 0, 0
        for batch in self._count_spikes(network, split, inputs, first_image, seed):
            answers = vote(batch, neuron_labels, self.data.classes)
            correct += int((answers == split.labels[seen : seen + len(batch)]).sum())
            seen += len(batch)
            yield correct, seen

    def _count_spikes(
        self, network: _Network, split: LabeledImages, inputs: NDArray[np.intp], first_image: int, seed: int
    ) -> Iterator[NDArray[np.int32]]:
        """Spikes of the neurons, one batch of images after the other."""

        def respond(batch: range) -> NDArray[np.int32]:
            return network.count_spikes(self._trains(split, batch, inputs, first_image, seed), seed)

        pool = ThreadPoolExecutor(self.threads)
        try:
            yield from pool.map(respond, _batches(len(split)))
        finally:
            pool.shutdown(cancel_futures=True)

    def _trains(
        self, split: LabeledImages, batch: range, inputs: NDArray[np.intp], first_image: int, seed: int
    ) -> SpikeTrains:
        """Input spikes of a batch, kept for the trials to come: they take as long to draw as to respond to."""
        key = (first_image + batch.start, len(batch), len(inputs), seed)
        trains = self._spikes.get(key)
        if trains is None:
            images = split.images[batch.start : batch.stop, inputs]
            first = first_image + batch.start
            trains = encode_images(images, self.settings.steps, self.settings.input_rate, seed, first)
            if first_image != _TEST:
                self._spikes[key] = trains
        return trains


def _batches(images: int) -> list[range]:
    """Small ones first: many a network is so bad that a hundred images tell."""
    starts = {0, *(_BATCH // part for part in (8, 4, 2)), *range(_BATCH, images, _BATCH)}
    edges = [*sorted(start for start in starts if start < images), images]
    return [range(start, stop) for start, stop in itertools.pairwise(edges)]


def _last(counts: Iterator[tuple[int, int]]) -> float:
    """Accuracy after all samples."""
    correct, seen = 0, 1
    for correct, seen in counts:  # noqa: B007
        pass
    return correct / seen
