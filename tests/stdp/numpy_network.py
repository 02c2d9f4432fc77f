"""The STDP network once more, in the plainest numpy: the specification that the kernels are compared with.

Spikes are dense booleans, time is a loop, every trace decays at every step, and nothing is skipped for being zero or
done later. The symbols of the comments, for input i and neuron j::

    s[i]     whether the input spikes at this step
    W[i, j]  weight that an input spike meets
    S[i, j]  weight that learns: W itself, or its float shadow
    a[j]     scale of the neuron's weights
    u[j]     membrane, counted from rest
    theta[j] adaptive part of the threshold
    x[i]     pre-synaptic trace

Two things are taken from the kernels because floating point makes them visible: the current is a float32 sum over the
inputs in their order, and everything else is computed in float64. Weights are stored as float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import ParameterQuantization, Rounding
from qspinn_optuna.workloads.stdp import STDPSettings

Floats = NDArray[np.float64]
Weights = NDArray[np.float32]
Spikes = NDArray[np.bool_]
Winners = NDArray[np.int64]

# ---------------------------------------------------------------------------------------------------------------------
# Draws by counter (splitmix64), in Python's integers
# ---------------------------------------------------------------------------------------------------------------------

_64_BITS = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Purpose(IntEnum):
    """What a draw is for."""

    INPUT = 1
    MEMBRANE = 2
    THETA_STEP = 3
    THETA_DECAY = 4
    TRACE = 5
    WEIGHT_UPDATE = 6
    WEIGHT_NORMALIZATION = 7
    WEIGHT_REQUANTIZATION = 8
    INITIAL_WEIGHT = 9


def mix(z: int) -> int:
    """The finalizer of splitmix64 (Steele et al. 2014)."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _64_BITS
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _64_BITS
    return z ^ (z >> 31)


def stream(seed: int, purpose: Purpose, image: int, step: int) -> int:
    """Key of the draws of one purpose at one step of an image: the generator jumps by seed, by image and by step."""
    key = mix((seed * _GOLDEN + purpose) & _64_BITS)
    key = mix((key + image * _GOLDEN) & _64_BITS)
    return mix((key + step * _GOLDEN) & _64_BITS)


def draw(key: int, index: int) -> int:
    """64 random bits: draw number ``index`` of a stream."""
    return mix((key + index * _GOLDEN) & _64_BITS)


def uniform(key: int, index: int) -> float:
    """The upper 32 bits of a draw, as a number in [0, 1)."""
    return (draw(key, index) >> 32) / 2**32


# ---------------------------------------------------------------------------------------------------------------------
# Rounding
# ---------------------------------------------------------------------------------------------------------------------


def rounded(values: Floats, to: ParameterQuantization | None, key: int = 0, first: int = 0) -> Floats:
    """``values`` on a grid, saturated; as they are if there is none.

    With the position p = value / resolution and its fraction f = p - floor(p), the code is floor(p) + 1 where

    - truncation: never,
    - nearest: f >= 1/2,
    - stochastic: f + r >= 1, r being draw number ``first + i`` of ``key`` for value number i,

    and floor(p) elsewhere.
    """
    if to is None:
        return values
    position = values / to.format.resolution
    codes = np.floor(position)
    fraction = position - codes
    if to.rounding is Rounding.NEAREST:
        codes = codes + (fraction >= 0.5)
    elif to.rounding is Rounding.STOCHASTIC:
        draws = np.array([uniform(key, first + i) for i in range(len(values))])
        codes = codes + (fraction + draws >= 1)
    return np.clip(codes, to.format.min_code, to.format.max_code) * to.format.resolution


# ---------------------------------------------------------------------------------------------------------------------
# Images to spikes
# ---------------------------------------------------------------------------------------------------------------------


def encode(image: NDArray[np.uint8], steps: int, rate: float, seed: int, number: int) -> Spikes:
    """Spikes of an image, [steps, inputs]: P(s[i]) = rate * pixel[i] / 255 at every step, in 16 bits.

    Pixels that are not black share a 64-bit draw in groups of four, 16 bits each, from the lowest up.
    """
    spikes = np.zeros((steps, len(image)), np.bool_)
    for t in range(steps):
        key = stream(seed, Purpose.INPUT, number, t)
        for n, i in enumerate(np.flatnonzero(image)):
            group, lane = n - n % 4, n % 4
            bits = draw(key, group) >> 16 * lane & 0xFFFF
            chance = min(round(rate * 65536 / 255 * int(image[i])), 65535)
            spikes[t, i] = bits < chance
    return spikes


# ---------------------------------------------------------------------------------------------------------------------
# The network
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constants:
    """Every number of the equations; those of a quantized network are on their grids."""

    membrane_decay: float
    threshold: float
    reset: float
    inhibition: float
    refractory_steps: int
    trace_decay: float
    trace_offset: float
    theta_step: float
    theta_decay: float
    weight_sum: float


def float_constants(settings: STDPSettings, inputs: int) -> Constants:
    """The numbers of the float network: a decay over a time d is exp(-d / tau)."""
    return Constants(
        membrane_decay=math.exp(-1 / settings.membrane_tau),
        threshold=settings.threshold,
        reset=settings.reset,
        inhibition=settings.inhibition,
        refractory_steps=settings.refractory_steps,
        trace_decay=math.exp(-1 / settings.trace_tau),
        trace_offset=settings.trace_offset,
        theta_step=settings.theta_step,
        theta_decay=math.exp(-settings.steps / settings.theta_tau),
        weight_sum=settings.weight_sum * inputs,
    )


@dataclass(frozen=True)
class Grids:
    """The grid of every array, None for float; a ``shadow`` is a float S beside W, ``scaled`` asks for the scale a."""

    weight: ParameterQuantization | None = None
    membrane: ParameterQuantization | None = None
    theta: ParameterQuantization | None = None
    trace: ParameterQuantization | None = None
    scale: ParameterQuantization | None = None
    shadow: bool = False
    scaled: bool = False


class NumpyNetwork:
    """The network: weights, scale and thresholds, and what an image does to them.

    Args:
        weights: Float weights to start from, [inputs, neurons].
        constants: The numbers of the equations.
        grids: What is rounded.
        seed: Of the draws of stochastic rounding.
    """

    def __init__(self, weights: Weights, constants: Constants, grids: Grids, seed: int) -> None:
        self.constants, self.grids, self.seed = constants, grids, seed
        self.inputs, self.neurons = weights.shape
        self.scale = np.ones(self.neurons)
        self.theta = np.zeros(self.neurons)
        self.stored = weights.copy()
        self.weights = weights.copy()
        for j in range(self.neurons):
            # a[j] <- round(1), which holds until there are codes to make up for.
            key = stream(seed, Purpose.INITIAL_WEIGHT, 0, j)
            self.scale[j] = rounded(np.ones(1), grids.scale, key, first=self.inputs)[0]
            self._requantize(j, key)
        if not grids.shadow:
            self.stored = self.weights  # The narrow weights are all there is: W and S are one array.

    def present(
        self, spikes: Spikes, image: int, learning_rate: float | None = None, adapting: bool = False
    ) -> Winners:
        """Show an image.

        Args:
            spikes: Input spikes, [steps, inputs].
            image: Its number, which keys the draws.
            learning_rate: Weights learn at this rate, if given.
            adapting: Whether thresholds adapt.

        Returns:
            The neuron that spikes, or -1, at each step.
        """
        constants = self.constants
        u = np.zeros(self.neurons)
        x = np.zeros(self.inputs)
        held = np.zeros(self.neurons, np.int64)  # Steps for which a membrane is still held.
        winners = np.full(len(spikes), -1)
        for t, s in enumerate(spikes):
            x = self._trace(x, s, image, t)
            u = np.where(held > 0, u, self._charge(u, s, image, t))
            # Of the free neurons, that furthest above its threshold spikes: the first of equals.
            margin = np.where(held > 0, -np.inf, u - (constants.threshold + self.theta))
            held = np.maximum(held - 1, 0)
            winner = int(margin.argmax())
            if margin[winner] < 0:
                continue
            winners[t] = winner
            # u[k] <- u[k] - inhibition for all others, held ones too; saturating, as every membrane does.
            u = np.maximum(u - constants.inhibition, self._lowest_membrane)
            u[winner] = constants.reset
            held[winner] = constants.refractory_steps
            if adapting:
                self._raise_threshold(winner, image, t)
            if learning_rate is not None:
                self._potentiate(winner, x, learning_rate, image, t)
        if adapting:
            self._decay_thresholds(image)
        if learning_rate is not None:
            for j in sorted(set(winners[winners >= 0].tolist())):
                self._normalize(j, image)
                if self.grids.shadow:
                    self._requantize(j, stream(self.seed, Purpose.WEIGHT_REQUANTIZATION, image, j))
        return winners

    @property
    def _lowest_membrane(self) -> float:
        return -math.inf if self.grids.membrane is None else self.grids.membrane.format.min

    def _charge(self, u: Floats, s: Spikes, image: int, t: int) -> Floats:
        """u[j] <- round(decay * u[j] + a[j] * sum_i s[i] W[i, j])."""
        current = np.zeros(self.neurons, np.float32)
        for i in np.flatnonzero(s):
            current += self.weights[i]
        charged = self.constants.membrane_decay * u + self.scale * current.astype(np.float64)
        return rounded(charged, self.grids.membrane, stream(self.seed, Purpose.MEMBRANE, image, t))

    def _trace(self, x: Floats, s: Spikes, image: int, t: int) -> Floats:
        """x[i] <- 1 where s[i], or the largest value that its grid has below 1; else x[i] <- round(decay * x[i])."""
        grid = self.grids.trace
        decayed = rounded(x * self.constants.trace_decay, grid, stream(self.seed, Purpose.TRACE, image, t))
        return np.where(s, 1.0 if grid is None else min(1.0, grid.format.max), decayed)

    def _raise_threshold(self, winner: int, image: int, t: int) -> None:
        """theta[winner] <- round(theta[winner] + step); the draw is that of the neuron's number."""
        key = stream(self.seed, Purpose.THETA_STEP, image, t)
        self.theta[winner] = rounded(self.theta + self.constants.theta_step, self.grids.theta, key)[winner]

    def _decay_thresholds(self, image: int) -> None:
        """theta[j] <- round(decay * theta[j]), once for the whole image."""
        key = stream(self.seed, Purpose.THETA_DECAY, image, 0)
        self.theta = rounded(self.theta * self.constants.theta_decay, self.grids.theta, key)

    def _potentiate(self, winner: int, x: Floats, learning_rate: float, image: int, t: int) -> None:
        """S[i, winner] <- round(clip(S[i, winner] + learning_rate * (x[i] - offset), 0, 1))."""
        column = self.stored[:, winner].astype(np.float64) + learning_rate * (x - self.constants.trace_offset)
        key = stream(self.seed, Purpose.WEIGHT_UPDATE, image, t)
        self.stored[:, winner] = rounded(np.clip(column, 0.0, 1.0), self._stored_grid, key)

    def _normalize(self, j: int, image: int) -> None:
        """S[i, j] <- round(S[i, j] * weight_sum / sum_i S[i, j]); a neuron without weight stays without."""
        column = self.stored[:, j].astype(np.float64)
        total = _sum_in_order(column)
        if total > 0:
            key = stream(self.seed, Purpose.WEIGHT_NORMALIZATION, image, j)
            self.stored[:, j] = rounded(column * (self.constants.weight_sum / total), self._stored_grid, key)

    def _requantize(self, j: int, key: int) -> None:
        """W[i, j] <- round(S[i, j]), and a[j] <- round(sum_i S[i, j] / sum_i W[i, j]) unless all of W[:, j] is 0."""
        column = self.stored[:, j].astype(np.float64)
        narrow = rounded(column, self.grids.weight, key)
        self.weights[:, j] = narrow
        total = _sum_in_order(narrow)
        if self.grids.scaled and total > 0:
            ratio = np.array([_sum_in_order(column) / total])
            self.scale[j] = rounded(ratio, self.grids.scale, key, first=self.inputs)[0]

    @property
    def _stored_grid(self) -> ParameterQuantization | None:
        return None if self.grids.shadow else self.grids.weight


def initial_weights(inputs: int, settings: STDPSettings, weight_sum: float, seed: int) -> Weights:
    """Uniform draws to a power, each neuron's normalized to their sum: [inputs, neurons]."""
    weights: Floats = np.random.default_rng(seed).random((inputs, settings.neurons)) ** settings.initial_weight_power
    normalized: Weights = (weights * (weight_sum / weights.sum(axis=0))).astype(np.float32)
    return normalized


def train(
    images: NDArray[np.uint8], settings: STDPSettings, constants: Constants, grids: Grids, seed: int
) -> tuple[NumpyNetwork, int]:
    """A network trained on images [images, inputs], and how often it spiked.

    The learning rate of presentation k of n is first * (last / first)**(k / n), as a running product in each epoch.
    """
    network = NumpyNetwork(
        initial_weights(images.shape[1], settings, constants.weight_sum, seed), constants, grids, seed
    )
    presentations = settings.epochs * len(images)
    growth = (settings.final_learning_rate / settings.learning_rate) ** (1 / presentations)
    spikes_fired = 0
    for epoch in range(settings.epochs):
        learning_rate = settings.learning_rate * growth ** (epoch * len(images))
        for k, image in enumerate(images):
            number = epoch * len(images) + k
            spikes = encode(image, settings.steps, settings.input_rate, seed, number)
            spikes_fired += int((network.present(spikes, number, learning_rate, adapting=True) >= 0).sum())
            learning_rate *= growth
    return network, spikes_fired


def _sum_in_order(values: Floats) -> float:
    """The sum from the first value to the last, where numpy's would add in pairs."""
    total = 0.0
    for value in values.tolist():
        total += value
    return total
