"""The network in floating point, one image after another; with grids, the simulation of its fixed-point version.

A step t of an image, for a neuron j that is not refractory, with input spikes s and the scale a of the weights W::

    u[j]  <-  round(decay * u[j] + a[j] * sum_i s[i] W[i, j])

Of the neurons with ``u >= threshold + theta`` the one that is furthest above spikes (the first of equals). Its membrane
goes to ``reset`` and is held for the refractory steps, ``inhibition`` is taken from all others. In training, the spike
raises theta and moves the neuron's weights by ``learning_rate * (x[i] - offset)``, where the trace x is set to 1 (or
the nearest value it can hold) by an input spike and decays; after the image, the weights of neurons that fired are
normalized to their sum.

A ``Grid`` is a format and a rounding as numbers; whatever is ``UNQUANTIZED`` stays a float. The weights that spikes
meet, ``forward``, are multiples of a ``unit``: floats with the unit 1, or codes with their resolution. Both give the
same sums as long as float32 holds them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from qspinn_optuna.fixed_point.draws import (
    INITIAL_WEIGHT,
    MEMBRANE,
    THETA_DECAY,
    THETA_STEP,
    TRACE,
    WEIGHT_NORMALIZATION,
    WEIGHT_REQUANTIZATION,
    WEIGHT_UPDATE,
    stream,
)
from qspinn_optuna.fixed_point.simulated_rounding import Grid, round_to_grid
from qspinn_optuna.workloads.stdp.currents import LANES, sum_neuron, sum_window


class Neuron(NamedTuple):
    """Constants of the neurons, and the grid of the membrane."""

    decay: float
    threshold: float
    reset: float
    inhibition: float
    refractory_steps: int
    membrane: Grid


class Plasticity(NamedTuple):
    """Constants of learning, and the grids of what learning changes.

    ``theta_decay`` is for a whole image, ``learning_rate`` is that of the first image and grows with each. ``stored``
    is the grid of the weights that learn, ``forward`` that of the weights that spikes meet, which are made anew of the
    former if those are their ``shadow``; if ``scaled``, a neuron's scale makes up for the weight its codes lose.
    """

    theta_step: float
    theta_decay: float
    theta: Grid
    trace_decay: float
    trace_offset: float
    trace: Grid
    learning_rate: float
    learning_rate_growth: float
    weight_sum: float
    stored: Grid
    forward: Grid
    shadow: bool
    scaled: bool
    scale: Grid


@njit(cache=True)
def charge(
    u: NDArray[np.float64],
    margin: NDArray[np.float64],
    current: NDArray[np.generic],
    unit: float,
    scale: NDArray[np.float64],
    theta: NDArray[np.float64],
    held: NDArray[np.int64],
    neuron: Neuron,
    key: np.uint64,
) -> int:
    """Charge the membranes and fill their margins over the threshold; returns how many are at it or above.

    The neurons of ``held``, which has -1 where there is none, keep their membranes and have a margin of -1.
    """
    before = np.empty(len(held))
    for k in range(len(held)):
        before[k] = u[held[k]]
    above = 0
    for j in range(len(u)):
        driven = neuron.decay * u[j] + scale[j] * (unit * np.float64(current[j]))
        u[j] = round_to_grid(driven, neuron.membrane, key, j)
        margin[j] = u[j] - (neuron.threshold + theta[j])
        above += margin[j] >= 0
    for k in range(len(held)):
        j = held[k]
        if j >= 0:
            u[j] = before[k]
            above -= margin[j] >= 0
            margin[j] = -1.0
    return above


@njit(cache=True)
def fire(u: NDArray[np.float64], margin: NDArray[np.float64], neuron: Neuron) -> int:
    """Let the neuron with the largest margin spike, and inhibit the others; returns its index."""
    winner = 0
    for j in range(len(u)):
        if margin[j] > margin[winner]:
            winner = j
    lowest = neuron.membrane.low * neuron.membrane.resolution
    for j in range(len(u)):
        u[j] = max(u[j] - neuron.inhibition, lowest)
    u[winner] = neuron.reset
    return winner


@njit(cache=True)
def decay_trace(trace: float, i: int, since: int, now: int, rule: Plasticity, seed: int, image: int) -> float:
    """The trace of input i at step ``now``, from its value at step ``since``."""
    for t in range(since + 1, now + 1):
        if trace == 0.0:
            break
        trace = round_to_grid(trace * rule.trace_decay, rule.trace, stream(seed, TRACE, image, t), i)
    return trace


@njit(cache=True)
def potentiate(
    column: NDArray[np.float32],
    trace: NDArray[np.float64],
    touched: NDArray[np.int64],
    t: int,
    learning_rate: float,
    rule: Plasticity,
    seed: int,
    image: int,
) -> None:
    """Move the weights of the neuron that spiked; traces are brought up to date on the way."""
    key = stream(seed, WEIGHT_UPDATE, image, t)
    for i in range(len(trace)):
        if trace[i] > 0.0:
            trace[i] = decay_trace(trace[i], i, touched[i], t, rule, seed, image)
        touched[i] = t
        weight = np.float64(column[i]) + learning_rate * (trace[i] - rule.trace_offset)
        column[i] = round_to_grid(min(max(weight, 0.0), 1.0), rule.stored, key, i)


@njit(cache=True)
def normalize(column: NDArray[np.float32], rule: Plasticity, key: np.uint64) -> None:
    """Bring the weights of a neuron to their sum."""
    total = 0.0
    for i in range(len(column)):
        total += np.float64(column[i])
    if total <= 0.0:
        return
    for i in range(len(column)):
        column[i] = round_to_grid(np.float64(column[i]) * (rule.weight_sum / total), rule.stored, key, i)


@njit(cache=True)
def requantize(
    column: NDArray[np.float32],
    forward: NDArray[np.generic],
    unit: float,
    scale: float,
    rule: Plasticity,
    key: np.uint64,
) -> float:
    """Make the weights of a neuron that spikes meet of those that learn; returns its scale, if it is no new one."""
    total, narrow = 0.0, 0.0
    for i in range(len(column)):
        weight = np.float64(column[i])
        rounded = round_to_grid(weight, rule.forward, key, i)
        forward[i] = rounded / unit
        total += weight
        narrow += rounded
    if rule.scaled and narrow > 0.0:
        return round_to_grid(total / narrow, rule.scale, key, len(column))
    return scale


@njit(cache=True)
def quantize_initial_weights(
    stored: NDArray[np.float32],
    forward: NDArray[np.generic],
    unit: float,
    scale: NDArray[np.float64],
    rule: Plasticity,
    seed: int,
) -> None:
    """Fill ``forward`` and ``scale`` before training."""
    for j in range(len(scale)):
        key = stream(seed, INITIAL_WEIGHT, 0, j)
        one = round_to_grid(1.0, rule.scale, key, stored.shape[1])
        b, lane = j // LANES, j % LANES
        scale[j] = requantize(stored[b, :, lane], forward[b, :, lane], unit, one, rule, key)


@njit(cache=True)
def decay_theta(theta: NDArray[np.float64], rule: Plasticity, seed: int, image: int) -> None:
    """Let theta decay for the duration of an image."""
    key = stream(seed, THETA_DECAY, image, 0)
    for j in range(len(theta)):
        theta[j] = round_to_grid(theta[j] * rule.theta_decay, rule.theta, key, j)


@njit(cache=True, nogil=True)
def present(
    inputs: NDArray[np.uint16],
    starts: NDArray[np.int64],
    stored: NDArray[np.float32],
    forward: NDArray[np.generic],
    unit: float,
    scale: NDArray[np.float64],
    theta: NDArray[np.float64],
    neuron: Neuron,
    rule: Plasticity,
    learn_weights: bool,
    learn_theta: bool,
    seed: int,
    first_image: int,
    currents: NDArray[np.generic],
    counts: NDArray[np.int32],
    winners: NDArray[np.int32],
) -> None:
    """Show images to the network, and learn from them as told.

    Args:
        inputs: Input spikes, as in :class:`SpikeTrains`.
        starts: Where they start, [images, steps + 1].
        stored: Weights that learning changes, in blocks: [blocks, inputs, row].
        forward: Weights that spikes meet, in blocks: the same array, or narrow ones if the rule has a shadow.
        unit: What ``forward`` is a multiple of.
        scale: Factor of each neuron's weights, [neurons].
        theta: Adaptive part of the thresholds, [neurons].
        neuron: The neurons.
        rule: The learning rule.
        learn_weights: Whether weights learn.
        learn_theta: Whether thresholds adapt.
        seed: Of the draws of stochastic rounding.
        first_image: Number of the first image, which keys the draws.
        currents: Room for the input currents of a window, [WINDOW, neurons].
        counts: Filled with the spikes of each neuron, [images, neurons].
        winners: Filled with the neuron that spikes, or -1, at each step, [images, steps]; ignored if it has no rows.
    """
    images, steps = len(starts), starts.shape[1] - 1
    neurons, size = len(theta), forward.shape[1]
    u, margin = np.empty(neurons), np.empty(neurons)
    trace, touched = np.empty(size), np.empty(size, np.int64)
    held = np.empty(neuron.refractory_steps, np.int64)
    spiked = min(rule.trace.high * rule.trace.resolution, 1.0)
    learning_rate = rule.learning_rate
    for k in range(images):
        image = first_image + k
        u[:] = 0.0
        trace[:] = 0.0
        held[:] = -1
        counts[k] = 0
        begin = end = 0
        for t in range(steps):
            if t == end:
                begin, end = t, min(t + len(currents), steps)
                sum_window(inputs, starts[k], begin, end, forward, currents)
            if learn_weights:
                for i in inputs[starts[k, t] : starts[k, t + 1]]:
                    trace[i] = spiked
                    touched[i] = t
            key = stream(seed, MEMBRANE, image, t)
            above = charge(u, margin, currents[t - begin], unit, scale, theta, held, neuron, key)
            winner = fire(u, margin, neuron) if above > 0 else -1
            if len(held) > 0:
                held[t % len(held)] = winner
            if len(winners) > 0:
                winners[k, t] = winner
            if winner < 0:
                continue
            counts[k, winner] += 1
            if learn_theta:
                key = stream(seed, THETA_STEP, image, t)
                theta[winner] = round_to_grid(theta[winner] + rule.theta_step, rule.theta, key, winner)
            if learn_weights:
                column = stored[winner // LANES, :, winner % LANES]
                potentiate(column, trace, touched, t, learning_rate, rule, seed, image)
                if not rule.shadow:
                    # The weights that spikes meet have changed, those of the winner alone.
                    sum_neuron(inputs, starts[k], t + 1, end, column, currents[t + 1 - begin :, winner])
        if learn_theta:
            decay_theta(theta, rule, seed, image)
        if learn_weights:
            for j in range(neurons):
                if counts[k, j] == 0:
                    continue
                b, lane = j // LANES, j % LANES
                normalize(stored[b, :, lane], rule, stream(seed, WEIGHT_NORMALIZATION, image, j))
                if rule.shadow:
                    key = stream(seed, WEIGHT_REQUANTIZATION, image, j)
                    scale[j] = requantize(stored[b, :, lane], forward[b, :, lane], unit, scale[j], rule, key)
            learning_rate *= rule.learning_rate_growth
