"""The integer network against the simulation, and both against exact rational arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, IntDistribution

from qspinn_optuna import Deployment, InexactError, QFormat, QuantizationConfig, QuantizationSpace, Rounding, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization
from qspinn_optuna.fixed_point.simulated_rounding import grid_of, round_to_grid
from qspinn_optuna.workloads.stdp import SpikeTrains, STDPNetwork, STDPSettings, encode_images
from qspinn_optuna.workloads.stdp.network import train
from qspinn_optuna.workloads.stdp.quantization import check_exact, parameters, quantize_trained, train_quantized
from qspinn_optuna.workloads.stdp.responses import count_spikes, layer_of, record_spikes
from tests.stdp.numpy_network import (
    Grids,
    NumpyNetwork,
    Purpose,
    draw,
    encode,
    float_constants,
    rounded,
    stream,
)

INPUTS = 36
IMAGES = 6
SMALL = STDPSettings(
    neurons=8,
    steps=20,
    input_rate=0.6,
    membrane_tau=20.0,
    threshold=6.0,
    reset=2.0,
    refractory_steps=2,
    inhibition=8.0,
    theta_step=0.5,
    theta_tau=400.0,
    adaptation_theta_step=0.5,
    adaptation_theta_tau=900.0,
    trace_tau=5.0,
    learning_rate=0.2,
    final_learning_rate=0.05,
    weight_sum=0.3,
    voltage_range=64.0,
)
SATURATING = replace(SMALL, voltage_range=8.0, inhibition=7.5, membrane_tau=2.0, weight_sum=0.5)
"""Inhibition takes membranes to the lowest value, from where they come back within a few steps."""

EVERY_WIDTH: dict[str, int | tuple[int, int]] = {
    "weight": (1, 18),
    "scale": (2, 16),
    "membrane": (2, 24),
    "theta": (1, 16),
    "membrane_decay": (1, 16),
}
LEARNING_WIDTHS: dict[str, int | tuple[int, int]] = {"trace": (1, 12), "trace_decay": (1, 12), "theta_decay": (1, 16)}


def random_images(seed: int, count: int = IMAGES) -> NDArray[np.uint8]:
    return np.random.default_rng([seed, count]).integers(0, 256, (count, INPUTS)).astype(np.uint8)


def input_spikes(seed: int, first_image: int = 70) -> SpikeTrains:
    return encode_images(random_images(seed), SMALL.steps, SMALL.input_rate, seed, first_image)


def adaptation_spikes(network: STDPSettings, seed: int) -> list[SpikeTrains]:
    """Input spikes of a few images, with the numbers of an adaptation."""
    if network.adaptation_images == 0:
        return []
    return [encode_images(random_images(seed + 1), network.steps, network.input_rate, seed, 3_000_000_000)]


def space_of(
    network: STDPSettings, deployment: Deployment = Deployment.INFERENCE, **widths: int | tuple[int, int]
) -> QuantizationSpace:
    learning = deployment is Deployment.LEARNING
    bits = EVERY_WIDTH | (LEARNING_WIDTHS if learning else {}) | widths
    specs = parameters(network, INPUTS, INPUTS, 3, deployment)
    if "scale" not in {spec.name for spec in specs}:
        del bits["scale"]
    return QuantizationSpace(
        specs,
        bits,
        schemes=(Scheme.ITQ,) if learning else tuple(Scheme),
        rounding_per_family=True,
        deployment=deployment,
    )


@cache
def float_network(network: STDPSettings, seed: int) -> STDPNetwork:
    return train(random_images(seed, 20), network, seed)


def simulation(config: QuantizationConfig, network: STDPSettings, deployment: Deployment, seed: int) -> STDPNetwork:
    """The simulated network of a configuration, quantized after training or in it."""
    adaptation = adaptation_spikes(network, seed)
    if config.scheme is Scheme.PTQ:
        return quantize_trained(float_network(network, seed % 3), adaptation, config, network, seed)
    weight_sum = network.weight_sum * INPUTS
    return next(train_quantized(random_images(seed), adaptation, config, network, deployment, weight_sum, seed))


def assert_spikes_alike(simulated: STDPNetwork, config: QuantizationConfig, seed: int) -> int:
    """Compare at every step; returns the number of spikes."""
    trains = input_spikes(seed)
    expected = simulated.record_spikes(trains, seed)
    layer = layer_of(simulated, config)
    np.testing.assert_array_equal(record_spikes(layer, trains, seed), expected)
    np.testing.assert_array_equal(count_spikes(layer, trains, seed), simulated.count_spikes(trains, seed))
    return int((expected >= 0).sum())


@st.composite
def points(draw_from: st.DrawFn, space: QuantizationSpace) -> QuantizationConfig:
    """Any configuration of a space that the simulation can carry."""
    params: dict[str, object] = {}
    for name, distribution in space.distributions.items():
        if isinstance(distribution, IntDistribution):
            params[name] = draw_from(st.integers(distribution.low, distribution.high))
        elif isinstance(distribution, CategoricalDistribution):
            params[name] = draw_from(st.sampled_from(distribution.choices))
    config = space.config(params)
    try:
        check_exact(config, INPUTS)
    except InexactError:
        assume(False)
    return config


NETWORKS = {
    "scale and shadow": (SMALL, Deployment.INFERENCE),
    "no scale": (replace(SMALL, scale_per_neuron=False), Deployment.INFERENCE),
    "no shadow": (replace(SMALL, shadow=False), Deployment.INFERENCE),
    "thresholds as trained": (replace(SMALL, adaptation_images=0), Deployment.INFERENCE),
    "saturating membranes": (SATURATING, Deployment.INFERENCE),
    "learning": (replace(SMALL, shadow=False), Deployment.LEARNING),
    "learning with a shadow": (SMALL, Deployment.LEARNING),
}


@pytest.mark.parametrize(("network", "deployment"), NETWORKS.values(), ids=NETWORKS.keys())
def test_integers_spike_as_the_simulation_at_any_point_of_the_space(
    network: STDPSettings, deployment: Deployment
) -> None:
    spikes = 0

    @settings(max_examples=80, deadline=None, derandomize=True)
    @given(points(space_of(network, deployment)), st.integers(0, 2**16))
    def compare(config: QuantizationConfig, seed: int) -> None:
        nonlocal spikes
        spikes += assert_spikes_alike(simulation(config, network, deployment, seed), config, seed)

    compare()
    assert spikes >= 500


def with_widths(scheme: Scheme, rounding: Rounding, **bits: int) -> QuantizationConfig:
    """A configuration with one rounding, 8 bits where nothing else is said."""
    space = space_of(SMALL)
    params: dict[str, object] = {name: rounding.value for name in space.distributions if name.startswith("rounding.")}
    params["scheme"] = scheme.value
    params |= {f"bits.{name}": bits.get(name, 8) for name in EVERY_WIDTH}
    return space.config(params)


CORNERS = {
    "8 bits": {},
    "coarse membrane": {"membrane": 6},
    "1-bit weights": {"weight": 1},
    "1-bit weights, coarse membrane": {"weight": 1, "membrane": 6},
    "16-bit weights": {"weight": 16, "scale": 2},
    "fine membrane": {"membrane": 24, "weight": 2, "membrane_decay": 16},
    "coarse thresholds": {"theta": 3},
    "fine thresholds": {"theta": 16, "membrane": 10},
}


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("bits", CORNERS.values(), ids=CORNERS.keys())
def test_integers_spike_as_the_simulation_in_the_corners(
    bits: dict[str, int], scheme: Scheme, rounding: Rounding
) -> None:
    config = with_widths(scheme, rounding, **bits)
    check_exact(config, INPUTS)
    spikes = [
        assert_spikes_alike(simulation(config, SMALL, Deployment.INFERENCE, seed), config, seed) for seed in (0, 1)
    ]
    # Trained weights are all below 1/2, and truncation to 1 bit leaves nothing of them.
    silent = scheme is Scheme.PTQ and rounding is Rounding.TRUNCATION and bits.get("weight") == 1
    assert (sum(spikes) >= 2 * IMAGES) != silent


# ---------------------------------------------------------------------------------------------------------------------
# Exact arithmetic
# ---------------------------------------------------------------------------------------------------------------------


def exact_rounding(value: Fraction, to: ParameterQuantization, key: int, index: int) -> Fraction:
    """``value`` on its grid by the definitions: floor, floor(p + 1/2), floor(p + r) with r in [0, 1)."""
    resolution = Fraction(2) ** -to.format.fraction_bits
    position = value / resolution
    if to.rounding is Rounding.NEAREST:
        position += Fraction(1, 2)
    elif to.rounding is Rounding.STOCHASTIC:
        position += Fraction(draw(key, index) >> 32, 2**32)
    return min(max(math.floor(position), to.format.min_code), to.format.max_code) * resolution


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("fmt", [QFormat(3, 4), QFormat(2, 3, signed=False), QFormat(5, -2)], ids=str)
def test_the_kernels_round_exactly(fmt: QFormat, rounding: Rounding) -> None:
    """At every tie, at the ends, and where the fraction and the draw of stochastic rounding add up to just 1."""
    to = ParameterQuantization(fmt, rounding)
    key = stream(3, Purpose.MEMBRANE, 1, 2)
    positions = []
    for index in range(50):
        up_from = 1 - Fraction(draw(key, index) >> 32, 2**32)
        for code in (fmt.min_code - 2, -1, 0, 3, fmt.max_code - 1, fmt.max_code + 1):
            for fraction in (Fraction(0), Fraction(1, 2), Fraction(1, 2) - Fraction(1, 2**32), up_from):
                positions += [(index, code + fraction), (index, code + fraction - Fraction(1, 2**32))]
    for index, position in positions:
        value = position * Fraction(2) ** -fmt.fraction_bits
        expected = exact_rounding(value, to, key, index)
        assert round_to_grid(float(value), grid_of(to), np.uint64(key), index) == expected


def exact_code(value: float, fmt: QFormat) -> int:
    """The code of a value that must be on the grid."""
    code = Fraction(value) / Fraction(2) ** -fmt.fraction_bits
    assert code.denominator == 1
    assert fmt.min_code <= code <= fmt.max_code
    return int(code)


class ExactNetwork:
    """The responses of a quantized network in rational numbers, made of its codes and formats alone."""

    def __init__(self, network: STDPNetwork, config: QuantizationConfig) -> None:
        self.membrane = config["membrane"]
        self.weights = [[self._value(w, config["weight"].format) for w in row] for row in network.weights.tolist()]
        self.theta = [self._value(theta, config["theta"].format) for theta in network.theta.tolist()]
        scale_format = config["scale"].format if "scale" in config.parameters else QFormat(1, 0, signed=False)
        self.scale = [self._value(a, scale_format) for a in network.scale.tolist()]
        neuron = network.neuron
        self.decay = self._value(neuron.decay, config["membrane_decay"].format)
        self.threshold, self.reset, self.inhibition = (
            self._value(voltage, self.membrane.format)
            for voltage in (neuron.threshold, neuron.reset, neuron.inhibition)
        )
        self.refractory_steps = neuron.refractory_steps

    @staticmethod
    def _value(value: float, fmt: QFormat) -> Fraction:
        return exact_code(value, fmt) * Fraction(2) ** -fmt.fraction_bits

    def respond(self, spikes: NDArray[np.bool_], image: int, seed: int) -> list[int]:
        neurons = range(len(self.theta))
        lowest = self.membrane.format.min_code * Fraction(2) ** -self.membrane.format.fraction_bits
        u = [Fraction(0) for _ in neurons]
        free_from = [0 for _ in neurons]
        winners = []
        for t, s in enumerate(spikes):
            key = stream(seed, Purpose.MEMBRANE, image, t)
            free = [j for j in neurons if free_from[j] <= t]
            for j in free:
                current = sum((self.weights[i][j] for i in np.flatnonzero(s)), start=Fraction(0))
                u[j] = exact_rounding(self.decay * u[j] + self.scale[j] * current, self.membrane, key, j)
            above = [j for j in free if u[j] >= self.threshold + self.theta[j]]
            if not above:
                winners.append(-1)
                continue
            winner = max(above, key=lambda j: (u[j] - self.theta[j], -j))
            u = [max(potential - self.inhibition, lowest) for potential in u]
            u[winner] = self.reset
            free_from[winner] = t + 1 + self.refractory_steps
            winners.append(winner)
        return winners


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("bits", CORNERS.values(), ids=CORNERS.keys())
def test_both_spike_as_exact_arithmetic_does(bits: dict[str, int], rounding: Rounding) -> None:
    # The rounding of the membrane is what runs; everything else is to nearest, so that the network spikes.
    config = with_widths(Scheme.PTQ, Rounding.NEAREST, **bits)
    membrane = ParameterQuantization(config["membrane"].format, rounding)
    config = QuantizationConfig(Scheme.PTQ, {**config.parameters, "membrane": membrane})
    simulated = simulation(config, SMALL, Deployment.INFERENCE, 2)
    exact = ExactNetwork(simulated, config)
    images = random_images(9)
    expected = [
        exact.respond(encode(image, SMALL.steps, SMALL.input_rate, 9, 70 + k), 70 + k, seed=9)
        for k, image in enumerate(images)
    ]
    np.testing.assert_array_equal(simulated.record_spikes(input_spikes(9), 9), expected)
    layer = layer_of(simulated, config)
    np.testing.assert_array_equal(record_spikes(layer, input_spikes(9), 9), expected)
    assert (np.array(expected) >= 0).sum() >= IMAGES


def test_an_integer_layer_stores_the_codes() -> None:
    config = with_widths(Scheme.PTQ, Rounding.NEAREST, weight=9, scale=5, theta=6)
    simulated = simulation(config, SMALL, Deployment.INFERENCE, 0)
    layer = layer_of(simulated, config)
    assert layer.weight.array.dtype == np.uint16
    assert layer.scale is not None
    stored = {"weight": layer.weight, "scale": layer.scale, "theta": layer.theta}
    simulation_values: dict[str, NDArray[np.floating]] = {
        "weight": simulated.weights,
        "scale": simulated.scale,
        "theta": simulated.theta,
    }
    for name, codes in stored.items():
        assert codes.format == config[name].format
        expected = [exact_code(value, codes.format) for value in simulation_values[name].ravel().tolist()]
        assert codes.array.ravel().tolist() == expected
    narrow = with_widths(Scheme.PTQ, Rounding.NEAREST, weight=8)
    simulated = simulation(narrow, SMALL, Deployment.INFERENCE, 0)
    assert layer_of(simulated, narrow).weight.array.dtype == np.uint8


@pytest.mark.parametrize("scheme", Scheme)
def test_a_1_bit_scale_is_the_same_number_in_both(scheme: Scheme) -> None:
    """Its grid is {0, 2}, so a scale that is left at 1 would be none of it."""
    network = replace(SMALL, shadow=False)
    config = space_of(network, scale=1).uniform(8, scheme, Rounding.NEAREST)
    simulated = simulation(config, network, Deployment.INFERENCE, 0)
    assert assert_spikes_alike(simulated, config, 0) >= IMAGES


# ---------------------------------------------------------------------------------------------------------------------
# How a trained network is quantized
# ---------------------------------------------------------------------------------------------------------------------


def fixed(config: QuantizationConfig, name: str, values: NDArray[np.floating]) -> NDArray[np.float64]:
    return rounded(np.asarray(values, np.float64).ravel(), config[name]).reshape(values.shape)


@pytest.mark.parametrize("rounding", [Rounding.TRUNCATION, Rounding.NEAREST])
@pytest.mark.parametrize("scaled", [False, True])
def test_post_training_quantization_in_plain_numpy(rounding: Rounding, scaled: bool) -> None:
    network = replace(SMALL, scale_per_neuron=scaled)
    config = space_of(network).uniform(6, Scheme.PTQ, rounding)
    seed = 2
    quantized = simulation(config, network, Deployment.INFERENCE, seed)

    trained = float_network(network, seed)
    weights = fixed(config, "weight", trained.weights)
    scale = np.ones(SMALL.neurons)
    if scaled:
        scale = fixed(config, "scale", trained.weights.astype(np.float64).sum(axis=0) / weights.sum(axis=0))
    to_nearest = ParameterQuantization(config["membrane"].format, Rounding.NEAREST)
    voltages = rounded(np.array([SMALL.threshold, SMALL.reset, SMALL.inhibition]), to_nearest).tolist()
    constants = replace(
        float_constants(network, INPUTS),
        membrane_decay=fixed(config, "membrane_decay", np.array([math.exp(-1 / SMALL.membrane_tau)]))[0],
        threshold=voltages[0],
        reset=voltages[1],
        inhibition=voltages[2],
        theta_step=SMALL.adaptation_theta_step,
        theta_decay=math.exp(-SMALL.steps / SMALL.adaptation_theta_tau),
    )
    plain = NumpyNetwork(weights.astype(np.float32), constants, Grids(membrane=config["membrane"]), seed)
    plain.scale, plain.theta = scale, trained.theta.copy()
    for number, image in enumerate(random_images(seed + 1), start=3_000_000_000):
        plain.present(encode(image, SMALL.steps, SMALL.input_rate, seed, number), number, adapting=True)

    np.testing.assert_array_equal(quantized.weights, weights)
    np.testing.assert_array_equal(quantized.scale, scale)
    np.testing.assert_array_equal(quantized.theta, fixed(config, "theta", plain.theta))
    assert (plain.theta != trained.theta).any()


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize(("network", "deployment"), NETWORKS.values(), ids=NETWORKS.keys())
def test_every_value_lies_on_its_grid(
    network: STDPSettings, deployment: Deployment, scheme: Scheme, rounding: Rounding
) -> None:
    if deployment is Deployment.LEARNING:
        scheme = Scheme.ITQ
    config = space_of(network, deployment).uniform(5, scheme, rounding)
    simulated = simulation(config, network, deployment, 1)
    values: dict[str, NDArray[np.floating]] = {
        "weight": simulated.weights,
        "theta": simulated.theta,
        "membrane_decay": np.array([simulated.neuron.decay]),
    }
    if "scale" in config.parameters:
        values["scale"] = simulated.scale
    for name, array in values.items():
        for value in array.ravel().tolist():
            exact_code(value, config[name].format)


# ---------------------------------------------------------------------------------------------------------------------
# What is refused
# ---------------------------------------------------------------------------------------------------------------------


def test_weights_whose_sums_float32_cannot_hold_are_refused() -> None:
    for bits, inputs in ((16, 784), (15, 784), (16, 257)):
        with pytest.raises(InexactError, match=r"give weight at most \d+ bits"):
            check_exact(with_widths(Scheme.PTQ, Rounding.NEAREST, weight=bits, scale=2), inputs)
    with pytest.raises(InexactError, match="give weight at most 14 bits"):
        check_exact(with_widths(Scheme.PTQ, Rounding.NEAREST, weight=16, scale=2), 784)
    check_exact(with_widths(Scheme.PTQ, Rounding.NEAREST, weight=14, scale=2), 784)
    check_exact(with_widths(Scheme.PTQ, Rounding.NEAREST, weight=16, scale=2), 256)


EVERY_CONFIG = QuantizationSpace(
    parameters(replace(SMALL, voltage_range=1.0), INPUTS, INPUTS, 3, Deployment.INFERENCE),
    {"weight": (1, 18), "scale": (1, 24), "membrane": (2, 24), "theta": (1, 24), "membrane_decay": (1, 24)},
)


def test_membranes_that_float64_cannot_hold_are_refused() -> None:
    params = {"scheme": "ptq", "rounding": "nearest", "bits.theta": 8}
    params |= {"bits.weight": 8, "bits.scale": 24, "bits.membrane": 24, "bits.membrane_decay": 24}
    with pytest.raises(
        InexactError, match=r"membrane takes \d+ bits.*give weight and scale, or membrane and membrane_decay"
    ):
        check_exact(EVERY_CONFIG.config(params), 60_000)
    check_exact(EVERY_CONFIG.config(params | {"bits.membrane": 10}), 60_000)


def largest_sums(config: QuantizationConfig, inputs: int) -> tuple[int, int]:
    """The largest current and the largest charged membrane, each as an integer multiple of its last bit."""
    weight, scale, membrane, decay = (config[name].format for name in ("weight", "scale", "membrane", "membrane_decay"))
    current = inputs * weight.max_code
    scaled, decayed = scale.fraction_bits + weight.fraction_bits, decay.fraction_bits + membrane.fraction_bits
    finest = max(scaled, decayed, membrane.fraction_bits)
    charged = scale.max_code * current << finest - scaled
    return current, charged + (decay.max_code * -membrane.min_code << finest - decayed)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    weight=st.integers(1, 16), scale=st.integers(1, 24), decay=st.integers(12, 24), inputs=st.sampled_from([1, 36, 784])
)
def test_what_is_accepted_fits_the_simulations_floats(weight: int, scale: int, decay: int, inputs: int) -> None:
    """From coarse membranes to fine ones, sums stay below 2**24 and 2**53; none is refused with three bits to spare."""
    params: dict[str, object] = {"scheme": "ptq", "rounding": "nearest", "bits.theta": 8}
    params |= {"bits.weight": weight, "bits.scale": scale, "bits.membrane_decay": decay}
    for membrane in range(2, 25):
        config = EVERY_CONFIG.config(params | {"bits.membrane": membrane})
        current, charged = largest_sums(config, inputs)
        try:
            check_exact(config, inputs)
        except InexactError:
            assert current > 2**21 or charged > 2**50
        else:
            assert current <= 2**24
            assert charged <= 2**53


def test_the_widest_weights_that_are_accepted_keep_all_their_bits() -> None:
    """18 bits over 36 inputs: more than 16, so the codes need a wider type."""
    limits = {spec.name: spec.max_bits for spec in parameters(SMALL, INPUTS, INPUTS, 3, Deployment.INFERENCE)}
    assert limits["weight"] == 18
    config = with_widths(Scheme.PTQ, Rounding.NEAREST, weight=18)
    simulated = simulation(config, SMALL, Deployment.INFERENCE, 0)
    assert assert_spikes_alike(simulated, config, 0) >= IMAGES
    assert layer_of(simulated, config).weight.array.max() > 65_535


def test_images_of_another_size_are_refused() -> None:
    config = with_widths(Scheme.PTQ, Rounding.NEAREST)
    simulated = simulation(config, SMALL, Deployment.INFERENCE, 0)
    larger = encode_images(np.full((1, INPUTS + 1), 255, np.uint8), SMALL.steps, SMALL.input_rate, 0)
    layer = layer_of(simulated, config)
    for count in (simulated.count_spikes, partial(count_spikes, layer)):
        with pytest.raises(ValueError, match=f"must have {INPUTS} pixels.*got {INPUTS + 1}"):
            count(larger, 0)
