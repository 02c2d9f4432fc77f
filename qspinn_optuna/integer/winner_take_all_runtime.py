"""An interpreter of layers of neurons that compete: what a device computes, in numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point.draws import INPUT, MEMBRANE, draws, purpose_key, streams
from qspinn_optuna.integer.accumulators import range_of_sums
from qspinn_optuna.integer.coding import LANES, RateCoding
from qspinn_optuna.integer.keyed_rounding import stored
from qspinn_optuna.integer.model import IntegerModel
from qspinn_optuna.integer.winner_take_all import WinnerTakeAll

_BATCH = 64
"""Images whose input currents are held at a time."""

_FLOAT32_INTEGERS = 2**24
"""Up to here, float32 holds every integer."""


@dataclass(frozen=True)
class Responses:
    """What the neurons of the last layer did.

    Example:
        >>> responses = respond(stdp_model, np.full((1, 2), 255, np.uint8))
        >>> responses.winners.shape, responses.counts.shape
        ((1, 3), (1, 2))

    Args:
        winners: The neuron that spiked at each step of each image, or -1, int32 [images, steps].
        counts: Spikes of each neuron in response to each image, int32 [images, neurons].
        membranes: Codes of the membranes after each step, int32 [images, steps, neurons], if they were asked for.
    """

    winners: NDArray[np.int32]
    counts: NDArray[np.int32]
    membranes: NDArray[np.int32] | None


def respond(
    model: IntegerModel, images: NDArray[np.integer], first_sample: int | None = None, *, membranes: bool = False
) -> Responses:
    """Spikes and, if asked for, membranes at every step.

    Args:
        model: A layer of neurons that compete.
        images: uint8 [images, pixels], all pixels: the model drops those that it does not use.
        first_sample: Number of the first image, which keys the draws; that of the model's test set if not given.
        membranes: Whether to record the membranes, which takes 4 bytes a neuron and step.

    Raises:
        TypeError: If the model is of another kind, or the images are not uint8.
        ValueError: If they are not [images, pixels] with the model's number of pixels, or ``first_sample`` is negative.
    """
    coding, layer = model.coding, model.network
    if not isinstance(coding, RateCoding) or not isinstance(layer, WinnerTakeAll):
        raise TypeError(f"model must be a layer of neurons that compete, got a {type(layer).__name__}.")
    first = model.first_sample if first_sample is None else first_sample
    _check_images(images, coding)
    if first < 0:
        raise ValueError(f"first_sample must not be negative, got {first}.")
    steps = coding.steps
    winners = np.empty((len(images), steps), np.int32)
    recorded = np.empty((len(images), steps, layer.neurons), np.int32) if membranes else None
    for start in range(0, len(images), _BATCH):
        part = slice(start, start + _BATCH)
        samples = first + np.arange(len(images))[part]
        spikes = encode(coding, images[part], model.seed, samples)
        for t, (winner, u) in enumerate(_run(layer, spikes, model.seed, samples)):
            winners[part, t] = winner
            if recorded is not None:
                recorded[part, t] = u
    counts = np.zeros((len(images), layer.neurons), np.int32)
    image, step = np.nonzero(winners >= 0)
    np.add.at(counts, (image, winners[image, step]), 1)
    return Responses(winners, counts, recorded)


def encode(coding: RateCoding, images: NDArray[np.integer], seed: int, samples: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Input spikes of images with their numbers, bool [images, steps, inputs]."""
    spikes = np.zeros((len(images), coding.steps, coding.inputs), np.bool_)
    for image, sample, out in zip(images[:, coding.kept], samples, spikes, strict=True):
        lit = np.flatnonzero(image)
        groups = np.arange(0, len(lit), LANES)
        table = draws(streams(seed, INPUT, sample, np.arange(coding.steps))[:, None], groups)
        # A draw of 64 bits as four of 16 bits, the lowest first.
        lanes = table.astype("<u8").view("<u2")[:, : len(lit)]
        out[:, lit] = lanes < coding.chances.array[image[lit]]
    return spikes


def _run(
    layer: WinnerTakeAll, spikes: NDArray[np.bool_], seed: int, samples: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The neuron that spikes, or -1, [images], and the membranes afterwards, [images, neurons], at each step."""
    constants, key = layer.constants, purpose_key(seed, MEMBRANE)
    scale, theta = layer.scale_codes.array.astype(np.int64), layer.theta.array.astype(np.int64)
    currents = _matrix_product(spikes, layer)
    rows = np.arange(len(spikes))
    u = np.zeros((len(spikes), layer.neurons), np.int64)
    ready = np.zeros_like(u)
    for t in range(spikes.shape[1]):
        charged = (constants.decay * u << constants.decay_shift) + (scale * currents[:, t] << constants.current_shift)
        free = ready <= t
        u = np.where(free, stored(charged, constants.rounding, key, samples, t), u)
        margin = (u - constants.threshold << constants.membrane_shift) - (theta << constants.theta_shift)
        margin = np.where(free, margin, -1)
        # The first of equals.
        winner = margin.argmax(axis=1)
        fired = margin[rows, winner] >= 0
        u[fired] = np.maximum(u[fired] - constants.inhibition, constants.rounding.lowest)
        u[rows[fired], winner[fired]] = constants.reset
        ready[rows[fired], winner[fired]] = t + 1 + constants.refractory_steps
        yield np.where(fired, winner, -1), u


def _matrix_product(spikes: NDArray[np.bool_], layer: WinnerTakeAll) -> NDArray[np.int64]:
    """Input currents, int64 [images, steps, neurons], by way of the narrowest floats that hold every sum exactly.

    Those of float64 do so for any network: codes have at most 24 bits, and half a billion of them sum to 53.
    """
    sums = range_of_sums(layer.weight.array)
    kind = np.float32 if max(-sums.low, sums.high) <= _FLOAT32_INTEGERS else np.float64
    images, steps, inputs = spikes.shape
    product = spikes.reshape(images * steps, inputs).astype(kind) @ layer.weight.array.astype(kind)
    currents: NDArray[np.int64] = product.reshape(images, steps, -1).astype(np.int64)
    return currents


def _check_images(images: NDArray[np.integer], coding: RateCoding) -> None:
    if images.dtype != np.uint8:
        raise TypeError(f"images must be uint8, got {images.dtype}.")
    if images.ndim != 2 or images.shape[1] != coding.pixels:
        raise ValueError(f"images must be [images, {coding.pixels} pixels], got {images.shape}.")
