"""Responses of the integer layer, fast: as of :mod:`qspinn_optuna.integer.winner_take_all_runtime`, as a kernel."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.fixed_point.draws import MEMBRANE, draw, stream
from qspinn_optuna.fixed_point.integer_rounding import STOCHASTIC, round_code
from qspinn_optuna.integer import Codes, NeuronConstants, WinnerTakeAll
from qspinn_optuna.workloads.stdp.currents import room_for_currents, sum_window, to_blocks
from qspinn_optuna.workloads.stdp.network import STDPNetwork
from qspinn_optuna.workloads.stdp.spikes import SpikeTrains

_S32 = np.uint64(32)


def layer_of(network: STDPNetwork, config: QuantizationConfig) -> WinnerTakeAll:
    """A network whose values lie on the grids of ``config``, as integers; it spikes as the network, at every step."""
    membrane = config["membrane"]
    neuron = network.neuron
    voltages = np.array([neuron.threshold, neuron.reset, neuron.inhibition])
    threshold, reset, inhibition = _codes(voltages, membrane.format).array.tolist()
    return WinnerTakeAll(
        weight=_codes(network.weights, config["weight"].format),
        scale=_codes(network.scale, config["scale"].format) if "scale" in config.parameters else None,
        theta=_codes(network.theta, config["theta"].format),
        decay=_codes(np.array([neuron.decay]), config["membrane_decay"].format),
        membrane=membrane,
        threshold=threshold,
        reset=reset,
        inhibition=inhibition,
        refractory_steps=neuron.refractory_steps,
    )


def count_spikes(layer: WinnerTakeAll, trains: SpikeTrains, seed: int) -> NDArray[np.int32]:
    """Spikes of each neuron in response to each image: [images, neurons].

    Args:
        layer: The neurons.
        trains: Input spikes of the images.
        seed: Of the draws of stochastic rounding.

    Raises:
        ValueError: If the spikes are of another number of inputs.
    """
    counts, _ = _respond(layer, trains, seed, record=False)
    return counts


def record_spikes(layer: WinnerTakeAll, trains: SpikeTrains, seed: int) -> NDArray[np.int32]:
    """The neuron that spikes at each step of each image, or -1: [images, steps]; as :func:`count_spikes`."""
    _, winners = _respond(layer, trains, seed, record=True)
    return winners


def _respond(
    layer: WinnerTakeAll, trains: SpikeTrains, seed: int, record: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    trains.check_inputs(layer.inputs)
    counts = np.empty((len(trains), layer.neurons), np.int32)
    winners = np.empty((len(trains) if record else 0, trains.steps), np.int32)
    weights = to_blocks(layer.weight.array)
    _present(
        trains.inputs, trains.starts, weights, layer.scale_codes.array.astype(np.int64),
        layer.theta.array.astype(np.int64), layer.constants, seed, trains.first_image,
        room_for_currents(weights, layer.neurons), counts, winners,
    )  # fmt: skip
    return counts, winners


def _codes(values: NDArray[np.floating], fmt: QFormat) -> Codes:
    """Codes of values on the grid of a format."""
    return Codes((values / fmt.resolution).astype(np.int64), fmt)


@njit(cache=True)
def _charge(
    u: NDArray[np.int64],
    margin: NDArray[np.int64],
    current: NDArray[np.int32],
    scale: NDArray[np.int64],
    theta: NDArray[np.int64],
    held: NDArray[np.int64],
    neuron: NeuronConstants,
    key: np.uint64,
) -> int:
    """The integer twin of the simulation's ``charge``."""
    before = np.empty(len(held), np.int64)
    for k in range(len(held)):
        before[k] = u[held[k]]
    above = 0
    for j in range(len(u)):
        charged = ((neuron.decay * u[j]) << neuron.decay_shift) + ((scale[j] * current[j]) << neuron.current_shift)
        bits = np.int64(draw(key, j) >> _S32) if neuron.rounding.rounding == STOCHASTIC else np.int64(0)
        u[j] = round_code(charged, neuron.rounding, bits)  # type: ignore[arg-type]
        margin[j] = ((u[j] - neuron.threshold) << neuron.membrane_shift) - (theta[j] << neuron.theta_shift)
        above += margin[j] >= 0
    for k in range(len(held)):
        j = held[k]
        if j >= 0:
            u[j] = before[k]
            above -= margin[j] >= 0
            margin[j] = -1
    return above


@njit(cache=True)
def _fire(u: NDArray[np.int64], margin: NDArray[np.int64], neuron: NeuronConstants) -> int:
    """The integer twin of the simulation's ``fire``."""
    winner = 0
    for j in range(len(u)):
        if margin[j] > margin[winner]:
            winner = j
    for j in range(len(u)):
        u[j] = max(u[j] - neuron.inhibition, neuron.rounding.lowest)
    u[winner] = neuron.reset
    return winner


@njit(cache=True, nogil=True)
def _present(
    inputs: NDArray[np.uint16],
    starts: NDArray[np.int64],
    weights: NDArray[np.generic],
    scale: NDArray[np.int64],
    theta: NDArray[np.int64],
    neuron: NeuronConstants,
    seed: int,
    first_image: int,
    currents: NDArray[np.int32],
    counts: NDArray[np.int32],
    winners: NDArray[np.int32],
) -> None:
    """The integer twin of the simulation's ``present``, without learning."""
    images, steps = len(starts), starts.shape[1] - 1
    u, margin = np.empty(len(theta), np.int64), np.empty(len(theta), np.int64)
    held = np.empty(neuron.refractory_steps, np.int64)
    for k in range(images):
        u[:] = 0
        held[:] = -1
        counts[k] = 0
        begin = end = 0
        for t in range(steps):
            if t == end:
                begin, end = t, min(t + len(currents), steps)
                sum_window(inputs, starts[k], begin, end, weights, currents)
            key = stream(seed, MEMBRANE, first_image + k, t)
            above = _charge(u, margin, currents[t - begin], scale, theta, held, neuron, key)
            winner = _fire(u, margin, neuron) if above > 0 else -1
            if len(held) > 0:
                held[t % len(held)] = winner
            if len(winners) > 0:
                winners[k, t] = winner
            if winner >= 0:
                counts[k, winner] += 1
