"""The quantized network on integer codes: what a device computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from qspinn_optuna.config import QuantizationConfig
from qspinn_optuna.fixed_point import QFormat, encode
from qspinn_optuna.fixed_point.draws import MEMBRANE, draw, stream
from qspinn_optuna.fixed_point.integer_rounding import ROUNDING_NUMBERS, STOCHASTIC, CodeRounding, round_code
from qspinn_optuna.workloads.stdp.kernels import add_rows
from qspinn_optuna.workloads.stdp.network import STDPNetwork
from qspinn_optuna.workloads.stdp.spikes import SpikeTrains

_S32 = np.uint64(32)


class IntegerNeuron(NamedTuple):
    """Constants of the neurons as codes of the membrane's format, and the shifts that align the other formats.

    A charged membrane is ``(decay * u << decay_shift) + (scale * current << current_shift)``, of which ``drop`` bits
    are rounded away. A margin is ``(u - threshold << membrane_shift) - (theta << theta_shift)``.
    """

    decay: int
    threshold: int
    reset: int
    inhibition: int
    refractory_steps: int
    lowest: int
    highest: int
    rounding: int
    decay_shift: int
    current_shift: int
    drop: int
    membrane_shift: int
    theta_shift: int


@dataclass(frozen=True)
class IntegerNetwork:
    """A quantized network as integer codes; it spikes as its simulation does, at every step.

    Args:
        weights: uint8, uint16 or uint32 [inputs, neurons].
        scale: int64 [neurons].
        theta: int64 [neurons].
        neuron: Constants of the neurons.
    """

    weights: NDArray[np.unsignedinteger]
    scale: NDArray[np.int64]
    theta: NDArray[np.int64]
    neuron: IntegerNeuron

    @classmethod
    def from_network(cls, network: STDPNetwork, config: QuantizationConfig) -> IntegerNetwork:
        """The codes of a network whose values lie on the grids of ``config``."""
        weight, membrane, theta = (config[name].format for name in ("weight", "membrane", "theta"))
        decay = config["membrane_decay"].format
        scale = config["scale"].format if "scale" in config.parameters else QFormat(1, 0, signed=False)
        neuron = network.neuron
        # Bits after the binary point of a decayed membrane, a scaled current, and both added.
        decayed, scaled = decay.fraction_bits + membrane.fraction_bits, scale.fraction_bits + weight.fraction_bits
        sum_bits = max(decayed, scaled, membrane.fraction_bits)
        compared = max(membrane.fraction_bits, theta.fraction_bits)
        return cls(
            _codes(network.weights, weight).astype(_unsigned(weight.bits)),
            _codes(network.scale, scale),
            _codes(network.theta, theta),
            IntegerNeuron(
                decay=_code(neuron.decay, decay),
                threshold=_code(neuron.threshold, membrane),
                reset=_code(neuron.reset, membrane),
                inhibition=_code(neuron.inhibition, membrane),
                refractory_steps=neuron.refractory_steps,
                lowest=membrane.min_code,
                highest=membrane.max_code,
                rounding=ROUNDING_NUMBERS[config["membrane"].rounding],
                decay_shift=sum_bits - decayed,
                current_shift=sum_bits - scaled,
                drop=sum_bits - membrane.fraction_bits,
                membrane_shift=compared - membrane.fraction_bits,
                theta_shift=compared - theta.fraction_bits,
            ),
        )

    def count_spikes(self, trains: SpikeTrains, seed: int) -> NDArray[np.int32]:
        """Spikes of each neuron in response to each image: [images, neurons]."""
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
        _respond(
            trains.inputs, trains.starts, self.weights, self.scale, self.theta, self.neuron,
            seed, trains.first_image, counts, winners,
        )  # fmt: skip
        return counts, winners


def _unsigned(bits: int) -> type[np.unsignedinteger]:
    """The narrowest type for codes of ``bits`` bits."""
    if bits <= 8:
        return np.uint8
    return np.uint16 if bits <= 16 else np.uint32


def _codes(values: NDArray[np.generic], fmt: QFormat) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = encode(torch.from_numpy(values), fmt).numpy().astype(np.int64)
    return codes


def _code(value: float, fmt: QFormat) -> int:
    return int(_codes(np.array([value]), fmt)[0])


@njit(cache=True)
def _charge(
    u: NDArray[np.int64],
    margin: NDArray[np.int64],
    current: NDArray[np.int32],
    scale: NDArray[np.int64],
    theta: NDArray[np.int64],
    ready: NDArray[np.int64],
    t: int,
    neuron: IntegerNeuron,
    key: np.uint64,
) -> int:
    """The integer twin of the simulation's ``charge``."""
    above = 0
    membrane = CodeRounding(neuron.drop, neuron.rounding, neuron.lowest, neuron.highest)
    for j in range(len(u)):
        charged = ((neuron.decay * u[j]) << neuron.decay_shift) + ((scale[j] * current[j]) << neuron.current_shift)
        bits = np.int64(draw(key, j) >> _S32) if neuron.rounding == STOCHASTIC else 0
        charged = round_code(charged, membrane, bits)
        free = ready[j] <= t
        u[j] = charged if free else u[j]
        over = ((u[j] - neuron.threshold) << neuron.membrane_shift) - (theta[j] << neuron.theta_shift)
        margin[j] = over if free else -1
        above += margin[j] >= 0
    return above


@njit(cache=True, nogil=True)
def _respond(
    inputs: NDArray[np.uint16],
    starts: NDArray[np.int64],
    weights: NDArray[np.generic],
    scale: NDArray[np.int64],
    theta: NDArray[np.int64],
    neuron: IntegerNeuron,
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
                u[j] = max(u[j] - neuron.inhibition, neuron.lowest)
            u[winner] = neuron.reset
            ready[winner] = t + 1 + neuron.refractory_steps
            counts[k, winner] += 1
            if len(winners) > 0:
                winners[k, t] = winner
