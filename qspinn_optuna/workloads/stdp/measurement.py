"""What networks answer: input spikes, responses to classes, and the number of correct answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.datasets import ImageSplits, LabeledImages
from qspinn_optuna.threads import allowed_threads
from qspinn_optuna.workloads.answers import Answers
from qspinn_optuna.workloads.stdp.class_responses import ClassResponses
from qspinn_optuna.workloads.stdp.settings import STDPSettings
from qspinn_optuna.workloads.stdp.spikes import SpikeTrains, encode_images

BATCH = 1_000
"""Images between two partial results, once so many are seen; before, after an eighth, a quarter and a half of them."""

# Numbers of the first images, far from those of training, so that every set has spikes of its own.
LABELS = 1_000_000_000
VALIDATION = 2_000_000_000
ADAPTATION = 3_000_000_000
TEST = 4_000_000_000
CONFIRMATION = 5_000_000_000

_CACHED_BYTES = 512 * 2**20
"""Memory for input spikes; those of an MNIST digit take 6 KB."""

Respond = Callable[[SpikeTrains, int], NDArray[np.int32]]
"""Spikes of each neuron in response to each image, [images, neurons], of input spikes and a seed."""


class Readout(Protocol):
    """What makes classes of spike counts."""

    def classify(self, counts: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Classes, [images], from the spikes of each neuron in response to each image, [images, neurons]."""
        ...


class Measurement:
    """Measures networks on the images of a workload.

    Input spikes take as long to draw as to respond to, and depend on the images and the seed only. Those of kept inputs
    are remembered for the trials to come, as far as 512 MiB go, and until another seed is measured with.

    Args:
        data: The images.
        settings: The network.
        kept_inputs: Numbers of the pixels that quantized networks take.
        threads: Threads that respond to images.
    """

    def __init__(self, data: ImageSplits, settings: STDPSettings, kept_inputs: NDArray[np.intp], threads: int) -> None:
        self.data = data
        self.settings = settings
        self.kept_inputs = kept_inputs
        self.threads = threads
        self._spikes: dict[tuple[int, int, int], SpikeTrains] = {}

    def adaptation(self, seed: int, *, kept: bool = True) -> list[SpikeTrains]:
        """Input spikes on which thresholds adapt, in parts of a thousand images."""
        images = self.data.train.images[: self.settings.adaptation_images]
        parts = [range(start, min(start + BATCH, len(images))) for start in range(0, len(images), BATCH)]
        return [self._trains(images, part, kept, ADAPTATION, seed) for part in parts]

    def class_responses(
        self, respond: Respond, seed: int, *, kept: bool = True, images: int | None = None
    ) -> ClassResponses:
        """Responses of a network to the label images.

        Args:
            respond: The network.
            seed: Of the input spikes and stochastic rounding.
            kept: Whether the network takes the kept inputs only.
            images: How many of the label images to use; all if not given.
        """
        split = self.data.train[-self.settings.label_images :][:images]
        parts, seen = [], 0
        for counts in self._counts(respond, split, LABELS, seed, kept):
            labels = split.labels[seen : seen + len(counts)]
            parts.append(ClassResponses.of(counts, labels, self.data.classes))
            seen += len(counts)
        return reduce(add, parts)

    def correct(
        self,
        respond: Respond,
        readout: Readout,
        split: LabeledImages,
        first_image: int,
        seed: int,
        *,
        kept: bool = True,
    ) -> Iterator[Answers]:
        """Count correct answers.

        Yields:
            The answers so far, after every batch.
        """
        right = np.empty(0, bool)
        for counts in self._counts(respond, split, first_image, seed, kept):
            labels = split.labels[len(right) : len(right) + len(counts)]
            right = np.concatenate([right, readout.classify(counts) == labels])
            yield Answers(right)

    def _counts(
        self, respond: Respond, split: LabeledImages, first_image: int, seed: int, kept: bool
    ) -> Iterator[NDArray[np.int32]]:
        """Spikes of the neurons, one batch of images after the other."""

        def counts(batch: range) -> NDArray[np.int32]:
            return respond(self._trains(split.images, batch, kept, first_image, seed), seed)

        pool = ThreadPoolExecutor(min(self.threads, allowed_threads()))
        try:
            yield from pool.map(counts, _batches(len(split)))
        finally:
            pool.shutdown(cancel_futures=True)

    def _trains(self, images: NDArray[np.uint8], batch: range, kept: bool, first_image: int, seed: int) -> SpikeTrains:
        """Input spikes of a batch of images."""
        first = first_image + batch.start
        key = (first, len(batch), seed)
        trains = self._spikes.get(key) if kept else None
        if trains is None:
            part = images[batch.start : batch.stop]
            part = part[:, self.kept_inputs] if kept else part
            trains = encode_images(part, self.settings.steps, self.settings.input_rate, seed, first)
            # The test set is measured with once or twice, and the float network once.
            if kept and first_image not in (TEST, CONFIRMATION):
                self._remember(key, trains)
        return trains

    def _remember(self, key: tuple[int, int, int], trains: SpikeTrains) -> None:
        seed = key[-1]
        for other in [other for other in tuple(self._spikes) if other[-1] != seed]:
            self._spikes.pop(other, None)
        if sum(known.bytes for known in tuple(self._spikes.values())) + trains.bytes <= _CACHED_BYTES:
            self._spikes[key] = trains


def _batches(images: int) -> list[range]:
    """Small ones first: many a network is so bad that a hundred images tell."""
    starts = {0, *(BATCH // part for part in (8, 4, 2)), *range(BATCH, images, BATCH)}
    edges = [*sorted(start for start in starts if start < images), images]
    return [range(start, stop) for start, stop in itertools.pairwise(edges)]
