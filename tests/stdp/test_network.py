"""The kernels against the plain numpy network, spike for spike and bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.fixed_point.simulated_rounding import UNQUANTIZED, Grid, grid_of
from qspinn_optuna.workloads.stdp import STDPNetwork, STDPSettings, encode_images
from qspinn_optuna.workloads.stdp import network as network_module
from qspinn_optuna.workloads.stdp.currents import LANES, WINDOW
from qspinn_optuna.workloads.stdp.kernels import Neuron
from qspinn_optuna.workloads.stdp.network import LearningGrids, adapt_thresholds, train
from tests.stdp import numpy_network
from tests.stdp.numpy_network import Constants, Grids, NumpyNetwork, encode, float_constants, rounded

INPUTS = 40
IMAGES = 6
SMALL = STDPSettings(
    neurons=9,
    steps=20,
    input_rate=0.5,
    membrane_tau=20.0,
    threshold=4.0,
    reset=1.25,
    refractory_steps=2,
    inhibition=6.0,
    theta_step=0.75,
    theta_tau=300.0,
    trace_tau=5.0,
    trace_offset=0.3,
    learning_rate=0.2,
    final_learning_rate=0.05,
    weight_sum=0.25,
)
"""A network that spikes at every other step, whose thresholds and traces decay visibly."""


FLOAT = Grids()


@dataclass(frozen=True)
class Case:
    """A network to train: its settings, its grids, and the decays of trace and theta if they are not the float ones."""

    grids: Grids = FLOAT
    settings: STDPSettings = SMALL
    trace_decay: float | None = None
    theta_decay: float | None = None

    @property
    def constants(self) -> Constants:
        constants = float_constants(self.settings, INPUTS)
        if self.trace_decay is not None:
            constants = replace(constants, trace_decay=self.trace_decay)
        if self.theta_decay is not None:
            constants = replace(constants, theta_decay=self.theta_decay)
        if self.grids.membrane is None:
            return constants
        to = ParameterQuantization(self.grids.membrane.format, Rounding.NEAREST)
        voltages = np.array([constants.threshold, constants.reset, constants.inhibition])
        threshold, reset, inhibition = rounded(voltages, to).tolist()
        return replace(constants, threshold=threshold, reset=reset, inhibition=inhibition)

    @property
    def neuron(self) -> Neuron:
        constants = self.constants
        return Neuron(
            constants.membrane_decay,
            constants.threshold,
            constants.reset,
            constants.inhibition,
            constants.refractory_steps,
            kernel_grid(self.grids.membrane),
        )

    @property
    def learning_grids(self) -> LearningGrids:
        return LearningGrids(
            weights=kernel_grid(self.grids.weight),
            shadow=self.grids.shadow,
            scaled=self.grids.scaled,
            scale=kernel_grid(self.grids.scale),
            theta=kernel_grid(self.grids.theta),
            trace=kernel_grid(self.grids.trace),
            trace_decay=self.trace_decay,
            theta_decay=self.theta_decay,
        )


def kernel_grid(quantization: ParameterQuantization | None) -> Grid:
    return UNQUANTIZED if quantization is None else grid_of(quantization)


def on(fmt: str, rounding: Rounding) -> ParameterQuantization:
    return ParameterQuantization(QFormat.parse(fmt), rounding)


def membrane_only(rounding: Rounding) -> Case:
    return Case(Grids(membrane=on("Q5.2", rounding)))


def narrow_learning(rounding: Rounding) -> Case:
    """Everything that a device stores while it learns, on grids."""
    grids = Grids(
        weight=on("UQ0.5", rounding),
        membrane=on("Q5.3", rounding),
        theta=on("UQ5.2", rounding),
        trace=on("UQ0.3", rounding),
    )
    return Case(grids, trace_decay=0.8125, theta_decay=0.9375)


def with_shadow(rounding: Rounding, scaled: bool) -> Case:
    grids = Grids(
        weight=on("UQ0.2", rounding),
        membrane=on("Q5.3", rounding),
        scale=on("UQ1.5", rounding),
        shadow=True,
        scaled=scaled,
    )
    return Case(grids)


CASES = {"float": Case(), "float, 2 epochs": Case(settings=replace(SMALL, epochs=2))}
for _rounding in Rounding:
    CASES |= {
        f"membrane, {_rounding}": membrane_only(_rounding),
        f"narrow learning, {_rounding}": narrow_learning(_rounding),
        f"shadow, {_rounding}": with_shadow(_rounding, scaled=False),
        f"shadow and scale, {_rounding}": with_shadow(_rounding, scaled=True),
    }
CASES["1-bit shadow without a grid of the scale"] = Case(Grids(
    weight=on("UQ0.1", Rounding.NEAREST), shadow=True, scaled=True
))  # fmt: skip
CASES["membrane that inhibition saturates"] = Case(
    Grids(membrane=on("Q3.3", Rounding.NEAREST)), replace(SMALL, inhibition=7.5, membrane_tau=2.0, weight_sum=0.5)
)
CASES["narrow weights alone"] = Case(Grids(weight=on("UQ0.4", Rounding.STOCHASTIC)))


def random_images(seed: int, count: int = IMAGES) -> NDArray[np.uint8]:
    """Random pixels, a quarter of them black."""
    generator = np.random.default_rng([seed, count])
    lit = generator.random((count, INPUTS)) < 0.75
    return (generator.integers(0, 256, (count, INPUTS)) * lit).astype(np.uint8)


def trained_by_kernels(case: Case, seed: int) -> STDPNetwork:
    return train(random_images(seed), case.settings, seed, case.neuron, case.learning_grids)


def trained_by_numpy(case: Case, seed: int) -> tuple[NumpyNetwork, int]:
    return numpy_network.train(random_images(seed), case.settings, case.constants, case.grids, seed)


def responses(
    plain: NumpyNetwork, images: NDArray[np.uint8], spike_seed: int, first: int, steps: int
) -> NDArray[np.int64]:
    spikes = [encode(image, steps, SMALL.input_rate, spike_seed, first + k) for k, image in enumerate(images)]
    return np.array([plain.present(s, first + k) for k, s in enumerate(spikes)])


def assert_same_values(network: STDPNetwork, plain: NumpyNetwork) -> None:
    np.testing.assert_array_equal(network.weights, plain.weights, strict=True)
    np.testing.assert_array_equal(network.scale, plain.scale, strict=True)
    np.testing.assert_array_equal(network.theta, plain.theta, strict=True)


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_training_and_responses_equal_the_numpy_network(case: Case, seed: int) -> None:
    network = trained_by_kernels(case, seed)
    plain, spikes_fired = trained_by_numpy(case, seed)
    assert spikes_fired >= 2 * IMAGES
    assert_same_values(network, plain)

    images = random_images(seed + 100)
    trains = encode_images(images, case.settings.steps, SMALL.input_rate, seed + 1, first_image=50)
    winners = network.record_spikes(trains, seed)
    assert (winners >= 0).sum() >= IMAGES
    np.testing.assert_array_equal(winners, responses(plain, images, seed + 1, 50, case.settings.steps))


@pytest.mark.parametrize("name", ["float", "shadow and scale, nearest"])
def test_more_than_a_block_and_a_window_equal_the_numpy_network(name: str) -> None:
    case = replace(CASES[name], settings=replace(SMALL, neurons=LANES + 3, steps=WINDOW + 5, inhibition=1.0))
    network = trained_by_kernels(case, 0)
    plain, spikes_fired = trained_by_numpy(case, 0)
    assert spikes_fired >= 2 * IMAGES
    assert_same_values(network, plain)
    images = random_images(100)
    trains = encode_images(images, case.settings.steps, SMALL.input_rate, 1, first_image=50)
    winners = network.record_spikes(trains, 0)
    assert len(set(winners.ravel().tolist())) >= IMAGES
    np.testing.assert_array_equal(winners, responses(plain, images, 1, 50, case.settings.steps))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_learning_changes_weights_and_thresholds(case: Case) -> None:
    before = numpy_network.initial_weights(INPUTS, case.settings, SMALL.weight_sum * INPUTS, 0)
    untrained = NumpyNetwork(before, case.constants, case.grids, 0)
    network = trained_by_kernels(case, 0)
    assert (network.weights != untrained.weights).mean() > 0.05
    assert network.theta.max() > 0
    assert (network.scale != 1).any() == case.grids.scaled


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("case", [Case(), *map(membrane_only, Rounding)], ids=["float", *Rounding])
def test_adaptation_equals_the_numpy_network(case: Case, seed: int) -> None:
    adapting = replace(SMALL, adaptation_theta_step=0.3, adaptation_theta_tau=900.0)
    network = trained_by_kernels(case, seed)
    plain, _ = trained_by_numpy(case, seed)
    plain.constants = replace(
        plain.constants, theta_step=0.3, theta_decay=float_constants(replace(SMALL, theta_tau=900.0), 1).theta_decay
    )
    images = random_images(seed + 200)
    before = network.theta.copy()
    trains = encode_images(images, SMALL.steps, SMALL.input_rate, seed, first_image=3_000_000_000)
    adapted = adapt_thresholds(network, [trains], adapting, seed)
    for number, image in enumerate(images, start=3_000_000_000):
        plain.present(encode(image, SMALL.steps, SMALL.input_rate, seed, number), number, adapting=True)
    assert_same_values(adapted, plain)
    assert (adapted.theta != before).any()
    np.testing.assert_array_equal(network.theta, before)


def test_counts_are_those_of_the_recorded_spikes() -> None:
    network = trained_by_kernels(Case(), 4)
    trains = encode_images(random_images(5), SMALL.steps, SMALL.input_rate, seed=6)
    winners = network.record_spikes(trains, seed=6)
    expected = [[int((row == j).sum()) for j in range(SMALL.neurons)] for row in winners]
    np.testing.assert_array_equal(network.count_spikes(trains, seed=6), expected)
    assert (winners >= 0).sum() >= IMAGES


def test_responses_leave_the_network_as_it_is() -> None:
    network = trained_by_kernels(membrane_only(Rounding.STOCHASTIC), 4)
    weights, theta, scale = network.weights.copy(), network.theta.copy(), network.scale.copy()
    trains = encode_images(random_images(5), SMALL.steps, SMALL.input_rate, seed=6)
    first = network.record_spikes(trains, seed=6)
    np.testing.assert_array_equal(network.record_spikes(trains, seed=6), first)
    assert (network.record_spikes(trains, seed=7) != first).any()
    np.testing.assert_array_equal(network.weights, weights)
    np.testing.assert_array_equal(network.theta, theta)
    np.testing.assert_array_equal(network.scale, scale)


@pytest.mark.parametrize("case", [Case(), narrow_learning(Rounding.STOCHASTIC)], ids=["float", "narrow"])
def test_training_does_not_depend_on_the_images_held_at_a_time(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    longer = replace(case, settings=replace(case.settings, epochs=3))
    whole = trained_by_kernels(longer, 0)
    monkeypatch.setattr(network_module, "_CHUNK", 1)
    in_parts = trained_by_kernels(longer, 0)
    np.testing.assert_array_equal(in_parts.weights, whole.weights)
    np.testing.assert_array_equal(in_parts.theta, whole.theta)


widths = st.integers(1, 10)
roundings = st.sampled_from(Rounding)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any mixture of settings and grids."""

    def maybe(quantization: st.SearchStrategy[ParameterQuantization]) -> ParameterQuantization | None:
        return draw(st.none() | quantization)

    def grid(integer_bits: int, bits: st.SearchStrategy[int], signed: bool) -> st.SearchStrategy[ParameterQuantization]:
        formats = st.builds(QFormat, st.just(integer_bits), bits, st.just(signed))
        return st.builds(ParameterQuantization, formats, roundings)

    shadow = draw(st.booleans())
    grids = Grids(
        weight=maybe(grid(0, widths, signed=False)),
        membrane=maybe(grid(draw(st.sampled_from([3, 5])), st.integers(-1, 8), signed=True)),
        theta=maybe(grid(5, st.integers(-2, 8), signed=False)),
        trace=maybe(grid(0, widths, signed=False)),
        scale=maybe(grid(2, st.integers(-1, 8), signed=False)),
        shadow=shadow,
        scaled=shadow and draw(st.booleans()),
    )
    varied = replace(
        SMALL,
        refractory_steps=draw(st.integers(0, 4)),
        membrane_tau=draw(st.sampled_from([2.0, 20.0])),
        inhibition=draw(st.sampled_from([0.0, 2.0, 7.5, 300.0])),
        threshold=draw(st.sampled_from([0.5, 4.0])),
        reset=draw(st.sampled_from([0.0, 1.25, 3.9])),
        trace_offset=draw(st.sampled_from([0.0, 0.3, 1.0])),
    )
    return Case(
        grids,
        varied,
        draw(st.none() | st.sampled_from([0.0, 0.5, 1.0])),
        draw(st.none() | st.sampled_from([0.0, 0.75, 1.0])),
    )


def test_any_mixture_of_settings_and_grids_equals_the_numpy_network() -> None:
    spikes = 0

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(cases(), st.integers(0, 2**32 - 1))
    def compare(case: Case, seed: int) -> None:
        nonlocal spikes
        plain, spikes_fired = trained_by_numpy(case, seed)
        assert_same_values(trained_by_kernels(case, seed), plain)
        spikes += spikes_fired

    compare()
    assert spikes >= 1_000
