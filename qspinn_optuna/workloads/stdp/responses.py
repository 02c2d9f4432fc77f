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
from qspinn_optuna.workloads.stdp.kernels import add_rows
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
    _present(
        trains.inputs, trains.starts, layer.weight.array, layer.scale_codes.array.astype(np.int64),
        layer.theta.array.astype(np.int64), layer.constants, seed, trains.first_image, counts, winners,
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
    ready: NDArray[np.int64],
    t: int,
    neuron: NeuronConstants,
    key: np.uint64,
) -> int:
    """The integer twin of the simulation's ``charge``."""
    above = 0
    for j in range(len(u)):
        charged = ((neuron.decay * u[j]) << neuron.decay_shift) + ((scale[j] * current[j]) << neuron.current_shift)
        bits = np.int64(draw(key, j) >> _S32) if neuron.rounding.rounding == STOCHASTIC else np.int64(0)
        charged = round_code(charged, neuron.rounding, bits)  # type: ignore[arg-type]
        free = ready[j] <= t
        u[j] = charged if free else u[j]
        over = ((u[j] - neuron.threshold) << neuron.membrane_shift) - (theta[j] << neuron.theta_shift)
        margin[j] = over if free else -1
        above += margin[j] >= 0
    return above


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
    counts: NDArray[np.int32],
    winners: NDArray[np.int32],
) -> None:
    """The integer twin of the simulation's ``present``, without learning."""
    images, steps = len(starts), starts.shape[1] - 1
    neurons = len(theta)
    current = np.empty(neurons, np.int32)
    u, margin, ready = np.empty(neurons, np.int64), np.empty(neurons, np.int64), np.empty(neurons, np.int64)
    for k in range(images):
        u[:] = 0
        ready[:] = 0
        counts[k] = 0
        for t in range(steps):
            if len(winners) > 0:
                winners[k, t] = -1
            add_rows(inputs[starts[k, t] : starts[k, t + 1]], weights, current)
            key = stream(seed, MEMBRANE, first_image + k, t)
            if _charge(u, margin, current, scale, theta, ready, t, neuron, key) == 0:
                continue
            winner = 0
            for j in range(neurons):
                if margin[j] > margin[winner]:
                    winner = j
            for j in range(neurons):
                u[j] = max(u[j] - neuron.inhibition, neuron.rounding.lowest)
            u[winner] = neuron.reset
            ready[winner] = t + 1 + neuron.refractory_steps
            counts[k, winner] += 1
            if len(winners) > 0:
                winners[k, t] = winner
