"""Neurons that take what a network has multiplied by a decimal, or shifted by one."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import InexactError, QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.networks import calibrate, check_exact, freeze_network, quantize_network
from qspinn_optuna.networks.entry.agreement import Agreement
from qspinn_optuna.networks.entry.inputs import digits
from qspinn_optuna.networks.entry.layer_inputs import even_levels
from qspinn_optuna.parameters import Family, Memory, ParameterSpec
from qspinn_optuna.space import QuantizationSpace
from tests.networks.builders import config_of, eighths, run_single
from tests.networks.integer_lif import Fixed, IntegerNeurons, fixed, keyed, linear

STEPS, BATCH, INPUTS, WIDTH = 4, 5, 6, 8
GRID = eighths(STEPS, BATCH, INPUTS)
REAL = torch.rand((STEPS, BATCH, INPUTS), generator=torch.Generator().manual_seed(4))

pytestmark = pytest.mark.filterwarnings("ignore:No sample reaches")

Between = Callable[["Net", Tensor], Tensor]


class Net(nn.Module):
    """Two layers with their neurons, and what ``between`` computes before the second ones."""

    def __init__(self, between: Between) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.between = between
        self.first, self.second = layer.Linear(INPUTS, WIDTH), layer.Linear(WIDTH, WIDTH)
        self.lif, self.node = neuron.LIFNode(v_threshold=0.3), neuron.LIFNode(3.0, v_threshold=0.1)
        self.head = layer.Linear(WIDTH, 2)
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Any:
        return self.head(self.node(self.between(self, x)))


class Entry(nn.Module):
    """Neurons before any layer."""

    def __init__(self, prepare: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.prepare = prepare
        self.node, self.head = neuron.LIFNode(v_threshold=0.3, step_mode="m"), layer.Linear(INPUTS, 2)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.node(self.prepare(x)))


def inputs_of(specs: tuple[ParameterSpec, ...]) -> dict[str, int]:
    return {spec.name: spec.count for spec in specs if spec.family is Family.INPUT}


def widths_are_exact(network: nn.Module, specs: tuple[ParameterSpec, ...], x: Tensor) -> None:
    space = QuantizationSpace(specs, (2, 12))
    for bits, rounding in ((2, Rounding.NEAREST), (5, Rounding.STOCHASTIC), (8, Rounding.TRUNCATION)):
        config = space.uniform(bits, Scheme.PTQ, rounding)
        check_exact(freeze_network(quantize_network(network, config)), x)


SUMS: dict[str, Between] = {
    "a bias": lambda net, x: net.first(x),
    "a residual": lambda net, x: net.second(net.lif(net.first(x))) + net.lif(net.first(x)),
    "a membrane shortcut": lambda net, x: (current := net.first(x)) + net.second(net.lif(current)),
    "a difference": lambda net, x: net.first(x) - net.second(net.lif(net.first(x))),
    "a power of two": lambda net, x: net.first(x) * 0.25 + 0.75,
    "a gate of spikes": lambda net, x: net.second(net.lif(net.first(x))) * net.lif(net.first(x)),
    "an average": lambda net, x: nn.functional.avg_pool1d(net.first(x), 3, 1, 1),
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_of_grid_values_are_exact_without_a_parameter(name: str) -> None:
    assert inputs_of(calibrate(Net(SUMS[name]), [GRID])) == {}


DECIMALS: dict[str, tuple[Between, dict[str, int]]] = {
    "a factor of a sum": (lambda net, x: net.first(x) * 0.3, {"node.input": 1}),
    "an offset": (lambda net, x: net.first(x) + 0.05, {"node.input": 1}),
    "a tensor": (lambda net, x: net.first(x) * torch.tensor(0.37), {"node.input": 1}),
    "a root": (lambda net, x: net.first(x) / INPUTS**0.5, {"node.input": 1}),
    "a weighted sum": (lambda net, x: 0.9 * net.first(x) - 0.3 * net.second(net.lif(net.first(x))), {"node.input": 1}),
    "scaled spikes": (lambda net, x: 0.7 * net.lif(net.first(x)), {"node.input": 1}),
    "scaled and shifted spikes": (lambda net, x: (net.lif(net.first(x)) - 0.2) / 0.35, {"node.input": 2}),
    "a scaled residual": (
        lambda net, x: net.second(net.lif(net.first(x))) + 0.1 * net.lif(net.first(x)),
        {"node.input": 1},
    ),
    "both neurons": (
        lambda net, x: net.second(net.lif(net.first(x) * 0.3)) / 1.7,
        {"lif.input": 1, "node.input": 1},
    ),
}


def memories(specs: tuple[ParameterSpec, ...]) -> set[Memory | None]:
    return {spec.memory for spec in specs if spec.family is Family.INPUT}


def test_factors_are_constants_and_prepared_inputs_are_state() -> None:
    for between in (DECIMALS["a factor of a sum"][0], DECIMALS["scaled and shifted spikes"][0]):
        assert memories(calibrate(Net(between), [GRID])) == {Memory.FLASH}
    prepared = calibrate(Entry(PREPARED["standardized"]), [REAL])
    assert memories(prepared) == {None}
    config = QuantizationSpace(prepared).uniform(8, Scheme.PTQ, Rounding.NEAREST)
    assert QuantizationSpace(prepared).footprint(config).ram_bits == 8 * 2 * INPUTS  # the input and the membranes


@pytest.mark.parametrize("name", DECIMALS)
def test_decimals_are_rounded_where_neurons_take_them(name: str) -> None:
    between, expected = DECIMALS[name]
    network = Net(between)
    specs = calibrate(network, [GRID])
    assert inputs_of(specs) == expected
    assert all(spec.max_bits >= 8 for spec in specs)
    widths_are_exact(network, specs, GRID)


PREPARED: dict[str, Callable[[Tensor], Tensor]] = {
    "standardized": lambda x: (x - 0.1) / 0.3,
    "weighted": lambda x: x * 0.9 - 0.3 * x.flip(-1),
    "averaged and scaled": lambda x: nn.functional.avg_pool1d(x, 3, 1, 1) * 1.1,
    "bent": torch.tanh,
}


@pytest.mark.parametrize("name", PREPARED)
@pytest.mark.parametrize("x", [GRID, REAL], ids=["on a grid", "real"])
def test_prepared_inputs_are_arrays_in_place_of_the_input(name: str, x: Tensor) -> None:
    network = Entry(PREPARED[name])
    specs = calibrate(network, [x])
    assert inputs_of(specs) == {"node.input": INPUTS}
    assert not any(spec.family is Family.SCALE for spec in specs)
    widths_are_exact(network, specs, x)


def test_real_inputs_that_neurons_take_as_they_are_need_no_second_rounding() -> None:
    assert inputs_of(calibrate(Entry(lambda x: x), [REAL])) == {"input": INPUTS}


def test_an_input_that_layers_take_too_stays() -> None:
    specs = calibrate(Net(lambda net, x: net.first(x) + 0.7 * nn.functional.pad(x, (1, 1))), [REAL])
    assert inputs_of(specs) == {"input": INPUTS, "node.input": 1}


def test_neurons_that_take_nothing_in_narrow_formats_are_found() -> None:
    """Weights of 0.29 are 9/32 with 4 bits, and sums stay under the threshold then."""
    network = Net(lambda net, x: 0.7 * net.lif(net.first(x)))
    nn.init.constant_(network.first.weight, 0.29)
    nn.init.zeros_(network.first.bias)
    network.lif.v_threshold = 1.6
    assert inputs_of(calibrate(network, [torch.ones(STEPS, BATCH, INPUTS)])) == {"node.input": 1}


FACTOR = Fraction(float(torch.tensor(0.3)))


@pytest.mark.parametrize("rounding", [Rounding.NEAREST, Rounding.TRUNCATION])
@pytest.mark.parametrize("bits", [3, 6, 8])
def test_spikes_and_potentials_are_those_of_rationals_and_integers(bits: int, rounding: Rounding) -> None:
    """Products with the factor as fractions, rounded on the finer grid, then on that of the input."""
    network: Any = nn.Sequential(layer.Linear(INPUTS, WIDTH), nn.Identity(), neuron.LIFNode(v_threshold=0.125))
    torch.manual_seed(5)
    network[0].reset_parameters()
    entering = QFormat(0, bits - 1)
    config = config_of(network, rounding)
    quantized: Any = quantize_network(
        network,
        QuantizationConfig(Scheme.PTQ, {**config.parameters, "2.input": ParameterQuantization(entering, rounding)}),
    )
    quantized[1].forward = lambda x: x * 0.3
    spikes, states = run_single(quantized, GRID)
    weight, bias = fixed(quantized[0].weight, 8), fixed(quantized[0].bias, 8)
    taken = [_rounded(linear(fixed(x, 3), weight, bias), entering, rounding) for x in GRID]
    node = quantized[2]
    neurons = IntegerNeurons(
        config["2.v"].format,
        rounding,
        fixed(node.v_threshold, 8),
        fixed(node.v_reset, 8),
        fixed(node._quantization.decays["decay"], 8),
        True,
        fixed(0.0, 0),
        keyed(0, "2.v"),
    )
    expected_spikes, expected = neurons.run(taken)
    assert torch.equal(spikes, torch.stack([fired.tensor() for fired in expected_spikes]))
    assert bool(spikes.any())
    for state, potential in zip(states, expected, strict=True):
        assert torch.equal(state["2.v"], potential.tensor())


def _rounded(total: Fixed, fmt: QFormat, rounding: Rounding) -> Fixed:
    """``total`` times the factor on the grid of ``fmt``, number by number."""
    codes = np.empty_like(total.codes)
    for index, code in np.ndenumerate(total.codes):
        exact = Fraction(int(code), 2**total.fraction_bits) * FACTOR
        finer = Fraction(round(exact * 2 ** (fmt.fraction_bits + 8)), 2**8)
        nearest = (finer + Fraction(1, 2)) if rounding is Rounding.NEAREST else finer
        codes[index] = min(max(nearest.__floor__(), fmt.min_code), fmt.max_code)
    return Fixed(codes, fmt.fraction_bits)


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_copies_round_what_neurons_take(step_mode: str) -> None:
    network: Any = nn.Sequential(neuron.IFNode())
    parameters = config_of(network, Rounding.STOCHASTIC).parameters
    entering = ParameterQuantization(QFormat(1, 2), Rounding.STOCHASTIC)
    config = QuantizationConfig(Scheme.PTQ, {**parameters, "0.input": entering})
    sequence = quantize_network(network, config, seed=1)
    functional.set_step_mode(sequence, "m")
    expected = sequence(REAL)
    quantized = quantize_network(network, config, seed=1)
    for copied in (copy.deepcopy(quantized), pickle.loads(pickle.dumps(quantized)), freeze_network(quantized)):
        functional.set_step_mode(copied, step_mode)
        output = copied(REAL) if step_mode == "m" else torch.stack([copied(x) for x in REAL])
        assert torch.equal(output, expected)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.node = neuron.IFNode(v_threshold=100.0)

    def forward(self, x: Tensor) -> Any:
        return self.node(x * 0.3)


def test_the_last_digit_of_a_product_does_not_refuse_a_trial() -> None:
    """Among very many values there are some that float32 and float64 round to different neighbours."""
    x = torch.rand((1, 200_000), generator=torch.Generator().manual_seed(0))
    finer = [(x.to(dtype) * 0.3 * 2.0**23).round() for dtype in (torch.float32, torch.float64)]
    assert not torch.equal(*((codes / 2**8).floor().double() for codes in finer))
    formats = {Family.MEMBRANE: QFormat(2, 20), Family.THRESHOLD: QFormat(7, 0)}
    parameters = config_of(Scaled(), Rounding.TRUNCATION, formats).parameters
    entering = ParameterQuantization(QFormat(0, 15), Rounding.TRUNCATION)
    config = QuantizationConfig(Scheme.PTQ, {**parameters, "node.input": entering})
    check_exact(freeze_network(quantize_network(Scaled(), config)), x)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=4), st.integers(-60, 60))
def test_digits_are_counted_from_the_first_to_the_last(codes: list[int], exponent: int) -> None:
    values = torch.tensor([float(code) for code in codes], dtype=torch.float64) * 2.0**exponent
    expected = max(len(f"{abs(code):b}".rstrip("0")) for code in codes)
    assert digits(values) == expected


def test_decimals_have_all_digits_of_float64() -> None:
    assert digits(torch.tensor([0.5, 0.3], dtype=torch.float64)) > 50
    assert digits(torch.empty(0)) == 0


def settled(value: Tensor, rounded: Tensor, first: Tensor) -> Tensor:
    agreement = Agreement()
    agreement.settle("a", value, first, 0.25)
    agreement.complete = True
    return agreement.settle("a", value, rounded, 0.25)


def test_runs_agree_about_decimals_within_a_step_alone() -> None:
    decimal = torch.tensor([0.3], dtype=torch.float64)
    total = torch.tensor([2.0**-26 + 1], dtype=torch.float64)
    near, far = torch.tensor([0.25]), torch.tensor([0.75])
    assert float(settled(decimal, near, near + 0.25)) == 0.5
    assert float(settled(decimal, near, far)) == 0.25
    assert float(settled(total, near, near + 0.25)) == 0.25


@given(
    st.sets(st.integers(0, 9), min_size=1, max_size=6),
    st.sampled_from([0.3, 0.7, 1 / 0.35]),
    st.sampled_from([0.0, 0.2]),
)
def test_levels_are_counted_without_zero(counts: set[int], factor: float, offset: float) -> None:
    values = (torch.tensor(sorted(counts)).repeat(3) - offset).float() * factor
    gaps = {b - a for a, b in zip(sorted(counts), sorted(counts)[1:], strict=False)}
    even = not gaps or all(gap % min(gaps) == 0 for gap in gaps)
    expected = len([count for count in counts if Fraction(count) != Fraction(offset)])
    assert even_levels(values) == (expected if even else None)


def test_real_numbers_have_no_levels() -> None:
    assert even_levels(REAL) is None


def test_inexact_sums_before_decimals_are_refused_all_the_same() -> None:
    network: Any = Net(lambda net, x: net.first(x) * 0.3)
    config = QuantizationSpace(calibrate(network, [GRID])).uniform(8, Scheme.PTQ, Rounding.NEAREST)
    wide = ParameterQuantization(QFormat(0, 23), Rounding.NEAREST)
    parameters = {**config.parameters, "first.weight": wide}
    with pytest.raises(InexactError, match="first differs"):
        check_exact(freeze_network(quantize_network(network, QuantizationConfig(Scheme.PTQ, parameters))), GRID)
