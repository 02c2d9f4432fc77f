"""The network in floating point: training, adaptation of its thresholds, and its responses."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.display import part
from qspinn_optuna.fixed_point.simulated_rounding import UNQUANTIZED, Grid
from qspinn_optuna.workloads.stdp.currents import to_blocks
from qspinn_optuna.workloads.stdp.forward_weights import ForwardWeights
from qspinn_optuna.workloads.stdp.kernels import Neuron, Plasticity, present, quantize_initial_weights
from qspinn_optuna.workloads.stdp.settings import STDPSettings
from qspinn_optuna.workloads.stdp.spikes import SpikeTrains, encode_images

_CHUNK = 1_000
"""Images whose spikes are held at a time in training; the result does not depend on it."""


@dataclass(frozen=True)
class STDPNetwork:
    """A network of one layer; its values are floats, or lie on the grids of a quantization.

    Example:
        >>> data = ImageSplits(images[:60], images[60:80], images[80:])
        >>> stdp = STDPWorkload(data, STDPSettings(neurons=10, steps=20))
        >>> stdp.network.weights.shape, stdp.network.theta.shape
        ((784, 10), (10,))

    Args:
        weights: What an input spike adds to a neuron's current, before the scale: float32 [inputs, neurons].
        scale: Factor of each neuron's weights: float64 [neurons].
        theta: Adaptive part of the thresholds: float64 [neurons].
        neuron: Constants of the neurons, and the grid of their membranes.
    """

    weights: NDArray[np.float32]
    scale: NDArray[np.float64]
    theta: NDArray[np.float64]
    neuron: Neuron

    def count_spikes(self, trains: SpikeTrains, seed: int) -> NDArray[np.int32]:
        """Spikes of each neuron in response to each image, without learning: [images, neurons]."""
        counts, _ = self._respond(trains, seed, record=False)
        return counts

    def record_spikes(self, trains: SpikeTrains, seed: int) -> NDArray[np.int32]:
        """The neuron that spikes at each step of each image, or -1: [images, steps]."""
        _, winners = self._respond(trains, seed, record=True)
        return winners

    def _respond(self, trains: SpikeTrains, seed: int, record: bool) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        trains.check_inputs(len(self.weights))
        counts = np.empty((len(trains), len(self.theta)), np.int32)
        winners = np.empty((len(trains) if record else 0, trains.steps), np.int32)
        forward = ForwardWeights.of(self.weights, UNQUANTIZED)
        present(
            trains.inputs, trains.starts, _NO_WEIGHTS, forward.blocks, forward.unit, self.scale, self.theta,
            self.neuron, _FROZEN, False, False, seed, trains.first_image, forward.currents(len(self.theta)),
            counts, winners,
        )  # fmt: skip
        return counts, winners


@dataclass(frozen=True)
class LearningGrids:
    """How a network is quantized while it learns; the default leaves it as it is.

    Args:
        weights: Grid of the weights that spikes meet.
        shadow: Whether float weights are kept beside them, and learn.
        scaled: Whether each neuron's scale makes up for the weight its codes lose; only with a shadow.
        scale: Grid of the scale.
        theta: Grid of the thresholds' adaptive part.
        trace: Grid of the pre-synaptic trace.
        trace_decay: Decay of the trace per step, if not the float one.
        theta_decay: Decay of theta per image, if not the float one.
    """

    weights: Grid = UNQUANTIZED
    shadow: bool = False
    scaled: bool = False
    scale: Grid = UNQUANTIZED
    theta: Grid = UNQUANTIZED
    trace: Grid = UNQUANTIZED
    trace_decay: float | None = None
    theta_decay: float | None = None


def inference_inhibition(settings: STDPSettings) -> float:
    """What a spike takes from the other membranes when images are classified."""
    return settings.inhibition if settings.inference_inhibition is None else settings.inference_inhibition


def float_neuron(settings: STDPSettings) -> Neuron:
    """The neurons of the float network in training."""
    return Neuron(
        membrane_decay(settings),
        settings.threshold,
        settings.reset,
        settings.inhibition,
        settings.refractory_steps,
        UNQUANTIZED,
    )


def membrane_decay(settings: STDPSettings) -> float:
    """Factor by which a membrane decays in a step."""
    return math.exp(-1 / settings.membrane_tau)


def trace_decay(settings: STDPSettings) -> float:
    """Factor by which a trace decays in a step."""
    return math.exp(-1 / settings.trace_tau)


def theta_decay(settings: STDPSettings) -> float:
    """Factor by which theta decays while an image is shown."""
    return math.exp(-settings.steps / settings.theta_tau)


def train(
    images: NDArray[np.uint8],
    settings: STDPSettings,
    seed: int,
    neuron: Neuron | None = None,
    grids: LearningGrids | None = None,
    weight_sum: float | None = None,
) -> STDPNetwork:
    """Train a network on images, without their labels.

    Args:
        images: uint8 [images, inputs].
        settings: The network.
        seed: Of the initial weights, the input spikes and stochastic rounding.
        neuron: The neurons; those of the float network if not given.
        grids: How the network is quantized meanwhile; not at all if not given.
        weight_sum: Sum of a neuron's weights; the settings' fraction of the inputs if not given.
    """
    return next(train_in_parts(images, settings, seed, neuron, grids, weight_sum))


def train_in_parts(
    images: NDArray[np.uint8],
    settings: STDPSettings,
    seed: int,
    neuron: Neuron | None = None,
    grids: LearningGrids | None = None,
    weight_sum: float | None = None,
    rungs: Sequence[float] = (),
) -> Generator[STDPNetwork, None, None]:
    """Train as :func:`train` does, and show the network on the way; looking changes nothing, to the last bit.

    Args:
        images: uint8 [images, inputs]; the other arguments as in :func:`train`.
        settings: The network.
        seed: Of everything random.
        neuron: The neurons.
        grids: How the network is quantized meanwhile.
        weight_sum: Sum of a neuron's weights.
        rungs: Fractions of the presentations, rising, after which to show it.

    Yields:
        A copy of the network at every rung, then the trained network.
    """
    neuron = float_neuron(settings) if neuron is None else neuron
    grids = LearningGrids() if grids is None else grids
    weight_sum = settings.weight_sum * images.shape[1] if weight_sum is None else weight_sum
    presentations = settings.epochs * len(images)
    growth = (settings.final_learning_rate / settings.learning_rate) ** (1 / presentations)
    rule = Plasticity(
        theta_step=settings.theta_step,
        theta_decay=theta_decay(settings) if grids.theta_decay is None else grids.theta_decay,
        theta=grids.theta,
        trace_decay=trace_decay(settings) if grids.trace_decay is None else grids.trace_decay,
        trace_offset=settings.trace_offset,
        trace=grids.trace,
        learning_rate=settings.learning_rate,
        learning_rate_growth=growth,
        weight_sum=weight_sum,
        stored=UNQUANTIZED if grids.shadow else grids.weights,
        forward=grids.weights,
        shadow=grids.shadow,
        scaled=grids.scaled,
        scale=grids.scale,
    )
    stored = to_blocks(initial_weights(images.shape[1], settings, weight_sum, seed))
    scale, theta = np.empty(settings.neurons), np.zeros(settings.neurons)
    forward = ForwardWeights.empty(stored.shape, grids.weights if grids.shadow else UNQUANTIZED)
    quantize_initial_weights(stored, forward.blocks, forward.unit, scale, rule, seed)
    if not grids.shadow:
        stored = forward.blocks.astype(np.float32, copy=False)
    stops = [max(1, round(fraction * presentations)) for fraction in rungs]
    for first_image, chunk in _chunks(images, settings.epochs):
        trains = encode_images(chunk, settings.steps, settings.input_rate, seed, first_image)
        rate, begin = settings.learning_rate * growth**first_image, 0
        for end in sorted({stop - first_image for stop in stops if 0 < stop - first_image < len(chunk)} | {len(chunk)}):
            present(
                trains.inputs, trains.starts[begin:end], stored, forward.blocks, forward.unit, scale, theta, neuron,
                rule._replace(learning_rate=rate), True, True, seed, first_image + begin,
                forward.currents(settings.neurons), np.empty((end - begin, settings.neurons), np.int32), _NOT_RECORDED,
            )  # fmt: skip
            for _ in range(begin, end):
                # One by one, as `present` does: a power would be off in the last place.
                rate *= growth
            begin = end
            for _ in range(stops.count(first_image + end)):
                yield STDPNetwork(forward.values(settings.neurons), scale.copy(), theta.copy(), neuron)
    yield STDPNetwork(forward.values(settings.neurons), scale, theta, neuron)


def adapt_thresholds(
    network: STDPNetwork,
    trains: Iterable[SpikeTrains],
    settings: STDPSettings,
    seed: int,
    weight_grid: Grid = UNQUANTIZED,
) -> STDPNetwork:
    """Let the thresholds adapt to the network's weights, which stay as they are, on images without labels.

    After quantization the neurons' activities are out of balance, and a few unlabelled images restore it.

    Args:
        network: The network; left untouched.
        trains: Input spikes of the images.
        settings: Those of the network.
        seed: Of stochastic rounding.
        weight_grid: Grid of the weights, if they are on one: codes are faster than floats.

    Returns:
        The network with its new, unquantized theta.
    """
    rule = _FROZEN._replace(
        theta_step=settings.adaptation_theta_step,
        theta_decay=math.exp(-settings.steps / settings.adaptation_theta_tau),
    )
    theta = network.theta.copy()
    forward = ForwardWeights.of(network.weights, weight_grid)
    for batch in trains:
        batch.check_inputs(len(network.weights))
        present(
            batch.inputs, batch.starts, _NO_WEIGHTS, forward.blocks, forward.unit, network.scale, theta, network.neuron,
            rule, False, True, seed, batch.first_image, forward.currents(len(theta)),
            np.empty((len(batch), len(theta)), np.int32), _NOT_RECORDED,
        )  # fmt: skip
    return replace(network, theta=theta)


def initial_weights(inputs: int, settings: STDPSettings, weight_sum: float, seed: int) -> NDArray[np.float32]:
    """Random weights, normalized: float32 [inputs, neurons]."""
    draws = np.random.default_rng(seed).random((inputs, settings.neurons))
    weights: NDArray[np.float64] = draws**settings.initial_weight_power
    weights *= weight_sum / weights.sum(axis=0)
    return weights.astype(np.float32)


def _chunks(images: NDArray[np.uint8], epochs: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Parts of the images of all epochs, each with the number of its first presentation."""
    with part("training", epochs * len(images), "image") as shown:
        for epoch in range(epochs):
            for first in range(0, len(images), _CHUNK):
                chunk = images[first : first + _CHUNK]
                yield epoch * len(images) + first, chunk
                shown.advance(count=len(chunk))


_NO_WEIGHTS = np.empty((0, 0, 0), np.float32)
_NOT_RECORDED = np.empty((0, 0), np.int32)
_FROZEN = Plasticity(
    theta_step=0.0,
    theta_decay=1.0,
    theta=UNQUANTIZED,
    trace_decay=1.0,
    trace_offset=0.0,
    trace=UNQUANTIZED,
    learning_rate=0.0,
    learning_rate_growth=1.0,
    weight_sum=1.0,
    stored=UNQUANTIZED,
    forward=UNQUANTIZED,
    shadow=False,
    scaled=False,
    scale=UNQUANTIZED,
)
