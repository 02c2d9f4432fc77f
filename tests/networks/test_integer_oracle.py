"""Quantized networks against integers, at every step of every layer."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.fixed_point.draws import layer_key
from qspinn_optuna.fixed_point.keyed_rounding import KeyedDraws
from qspinn_optuna.fixed_point.simulated_rounding import Draws
from qspinn_optuna.networks import check_exact, find_parameters, freeze_network, quantize_network
from qspinn_optuna.networks.modules.integrate_and_fire import IntegrateAndFire, integrate_and_fire
from qspinn_optuna.parameters import Family
from tests.networks.integer_lif import Fixed, IntegerNeurons, conv2d, fixed, generated, keyed, linear

INPUT_FRACTION_BITS = 3
STEPS = 6
SEED = 7

roundings = st.sampled_from(Rounding)


def step_function(distance: Tensor) -> Tensor:
    return (distance >= 0).to(distance)


def membranes() -> st.SearchStrategy[QFormat]:
    return st.builds(QFormat, st.integers(0, 3), st.integers(1, 5), st.booleans())


def decays() -> st.SearchStrategy[Fixed]:
    return st.integers(1, 6).flatmap(
        lambda bits: st.integers(0, 2**bits).map(lambda code: Fixed(np.asarray(code, np.int64), bits))
    )


@st.composite
def layers_of_neurons(draw: st.DrawFn) -> tuple[IntegerNeurons, IntegrateAndFire, Draws]:
    """The same layer twice: in integers, and as the simulation takes it. Thresholds may be finer than membranes."""
    fmt, rounding = draw(membranes()), draw(roundings)
    threshold = Fixed(np.asarray(draw(st.integers(1, 200)), np.int64), 6)
    codes = st.integers(fmt.min_code, fmt.max_code)
    reset = draw(st.none() | codes)
    decay, decay_input = draw(st.none() | decays()), draw(st.booleans())
    start = Fixed(np.asarray(draw(codes), np.int64), fmt.fraction_bits)
    resting = None if reset is None else Fixed(np.asarray(reset, np.int64), fmt.fraction_bits)
    seed = draw(st.integers(0, 99))
    by_key = draw(st.booleans())
    # The simulation takes a generator of its own, in the same state.
    draws = keyed(seed, "v") if by_key else generated(torch.Generator().manual_seed(seed))
    simulated: Draws = KeyedDraws(layer_key(seed, "v")) if by_key else torch.Generator().manual_seed(seed)
    integers = IntegerNeurons(fmt, rounding, threshold, resting, decay, decay_input, start, draws)
    parameters = IntegrateAndFire(
        fmt,
        rounding,
        float(threshold.tensor()),
        None if resting is None else float(resting.tensor()),
        decay is not None,
        decay_input,
        detach_reset=False,
    )
    return integers, parameters, simulated


@settings(max_examples=150, deadline=None)
@given(layers_of_neurons(), st.integers(0, 7), st.integers(0, 2**31))
def test_a_sequence_is_that_of_integers(
    layers: tuple[IntegerNeurons, IntegrateAndFire, Draws], fraction_bits: int, seed: int
) -> None:
    integers, parameters, draws = layers
    codes = np.random.default_rng(seed).integers(-(3 << fraction_bits), (4 << fraction_bits) + 1, (STEPS, 3, 4))
    inputs = [Fixed(step, fraction_bits) for step in codes]
    decay = torch.ones(()) if integers.decay is None else integers.decay.tensor()
    first = integers.start.tensor().expand(3, 4)
    spikes, potentials = integrate_and_fire(
        torch.stack([step.tensor() for step in inputs]), first, decay, parameters, step_function, draws
    )
    fired, expected = integers.run(inputs)
    assert torch.equal(spikes, torch.stack([step.tensor() for step in fired]))
    assert torch.equal(potentials, torch.stack([step.tensor() for step in expected]))


# Whole networks -----------------------------------------------------------------------------------------------------

NODES = ["IF", "LIF", "ParametricLIF", "HalfThreshold", "SimpleIF", "SimpleLIF"]


def make_node(kind: str, tau: float, reset: float | None, threshold: float, decay_input: bool) -> nn.Module:
    arguments = {"v_threshold": threshold, "v_reset": reset}
    nodes = {
        "IF": lambda: neuron.IFNode(**arguments),
        "LIF": lambda: neuron.LIFNode(tau, decay_input, **arguments),
        "ParametricLIF": lambda: neuron.ParametricLIFNode(tau, decay_input, **arguments),
        "HalfThreshold": lambda: neuron.HalfThresholdIFNode(threshold),
        "SimpleIF": lambda: neuron.SimpleIFNode(**arguments),
        "SimpleLIF": lambda: neuron.SimpleLIFNode(tau, decay_input, threshold, 0.0 if reset is None else reset),
    }
    node: nn.Module = nodes[kind]()
    return node


@dataclass(frozen=True)
class Case:
    """A network, how it is quantized, and its input [steps, batch, ...]."""

    network: nn.Sequential
    config: QuantizationConfig
    inputs: Fixed


@st.composite
def formats(draw: st.DrawFn, family: Family) -> QFormat:
    if family is Family.MEMBRANE:
        return draw(membranes())
    if family is Family.DECAY:
        return QFormat(0, draw(st.integers(1, 6)), signed=False)
    if family is Family.THRESHOLD:
        return QFormat(draw(st.integers(1, 2)), draw(st.integers(0, 5)), signed=False)
    return QFormat(draw(st.integers(0, 1)), draw(st.integers(0, 4)), signed=True)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    torch.manual_seed(draw(st.integers(0, 2**31)))
    modules: list[nn.Module] = []
    convolutions = draw(st.integers(0, 2))
    depth = draw(st.integers(max(1, convolutions), 3))
    shape = draw(st.sampled_from([(2, 5, 4), (1, 4, 6)])) if convolutions else (draw(st.integers(1, 5)),)
    size = torch.zeros(1, *shape)
    for index in range(depth):
        width, bias = draw(st.integers(1, 3)), draw(st.booleans())
        if index < convolutions:
            stride, padding = draw(st.integers(1, 2)), draw(st.integers(1, 2))
            modules.append(layer.Conv2d(size.shape[1], width, draw(st.integers(1, 3)), stride, padding, bias=bias))
        else:
            modules += [layer.Flatten()] if size.ndim > 2 else []
            size = size.flatten(1)
            modules.append(layer.Linear(size.shape[1], width, bias))
        size = modules[-1](size).detach()
        reset = draw(st.sampled_from([None, 0.0, -0.3, 0.2]))
        arguments = (draw(st.floats(1.2, 9.0)), reset, draw(st.floats(0.3, 1.9)), draw(st.booleans()))
        modules.append(make_node(draw(st.sampled_from(NODES)), *arguments))
    network = nn.Sequential(*modules)
    config = QuantizationConfig(
        Scheme.PTQ,
        {
            parameter.name: ParameterQuantization(draw(formats(parameter.family)), draw(roundings))
            for parameter in find_parameters(network)
        },
    )
    codes = torch.randint(0, 9, (STEPS, draw(st.integers(1, 3)), *shape)).numpy()
    return Case(network, config, Fixed(codes, INPUT_FRACTION_BITS))


def expected_codes(value: float, quantization: ParameterQuantization) -> set[int]:
    """Codes that ``value`` may have: two if it is rounded stochastically."""
    fmt = quantization.format
    scaled = Fraction(value) * Fraction(2) ** fmt.fraction_bits
    floor = scaled.numerator // scaled.denominator
    half = scaled + Fraction(1, 2)
    choices = {
        Rounding.TRUNCATION: {floor},
        Rounding.NEAREST: {half.numerator // half.denominator},
        Rounding.STOCHASTIC: {floor, -(-scaled.numerator // scaled.denominator)},
    }[quantization.rounding]
    return {min(max(code, fmt.min_code), fmt.max_code) for code in choices}


def read_codes(original: Tensor, read: Tensor, quantization: ParameterQuantization) -> Fixed:
    """The codes of what a quantized layer reads, which must be those of the original."""
    codes = fixed(read, quantization.format.fraction_bits)
    for value, code in zip(original.flatten().tolist(), codes.codes.flatten().tolist(), strict=True):
        assert code in expected_codes(value, quantization)
    return codes


def nearest_on(fmt: QFormat, value: float) -> Fixed:
    (code,) = expected_codes(float(torch.tensor(value)), ParameterQuantization(fmt, Rounding.NEAREST))
    return Fixed(np.asarray(code, np.int64), fmt.fraction_bits)


def integer_neurons(name: str, original: Any, quantized: Any, config: QuantizationConfig) -> IntegerNeurons:
    """The twin of a neuron layer."""
    membrane = config[f"{name}.v"]
    threshold = read_codes(
        torch.tensor(original.v_threshold), torch.tensor(quantized.v_threshold), config[f"{name}.threshold"]
    )
    decay = None
    if f"{name}.decay" in config.parameters:
        rate = original.w.sigmoid().detach() if hasattr(original, "w") else torch.tensor(1 / original.tau)
        exact = 1 - rate if hasattr(original, "w") else torch.tensor(1 - 1 / original.tau)
        decay = read_codes(exact, quantized._decay("decay", getattr(quantized, "w", None)), config[f"{name}.decay"])
    start = original.get_reset_value("v")
    assert start == documented_start(original)
    return IntegerNeurons(
        membrane.format,
        membrane.rounding,
        threshold,
        None if original.v_reset is None else nearest_on(membrane.format, original.v_reset),
        decay,
        getattr(original, "decay_input", False),
        nearest_on(membrane.format, start),
        keyed(SEED, f"{name}.v"),
    )


def documented_start(node: Any) -> float:
    """Potential of fresh float neurons: SpikingJelly's simple nodes start at 0 whatever their reset potential."""
    if isinstance(node, neuron.HalfThresholdIFNode):
        return float(node.v_threshold) / 2
    return 0.0 if isinstance(node, neuron.SimpleIFNode | neuron.SimpleLIFNode) else node.v_reset or 0.0


def in_integers(case: Case, quantized: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Spikes and potentials of every layer of neurons, [steps, batch, ...]."""
    current = [Fixed(step, case.inputs.fraction_bits) for step in case.inputs.codes]
    found: dict[str, tuple[Tensor, Tensor]] = {}
    twins: dict[str, Any] = dict(quantized.named_children())
    for name, module in case.network.named_children():
        if isinstance(module, layer.Flatten):
            current = [Fixed(step.codes.reshape(len(step.codes), -1), step.fraction_bits) for step in current]
        elif isinstance(module, nn.Linear | nn.Conv2d):
            current = [synapse_sums(name, module, twins[name], case.config, step) for step in current]
        else:
            current, potentials = integer_neurons(name, module, twins[name], case.config).run(current)
            found[name] = (
                torch.stack([step.tensor() for step in current]),
                torch.stack([step.tensor() for step in potentials]),
            )
    return found


def synapse_sums(name: str, module: Any, twin: Any, config: QuantizationConfig, x: Fixed) -> Fixed:
    weight = read_codes(module.weight, twin.weight, config[f"{name}.weight"])
    bias = None if module.bias is None else read_codes(module.bias, twin.bias, config[f"{name}.bias"])
    if isinstance(module, nn.Linear):
        return linear(x, weight, bias)
    return conv2d(x, weight, bias, module.stride[0], module.padding[0])


def nodes_of(network: nn.Module) -> dict[str, Any]:
    return {name: module for name, module in network.named_children() if hasattr(module, "v_threshold")}


@torch.no_grad()
def step_by_step(network: nn.Module, inputs: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Spikes and potentials after every step in mode 's'."""
    network = copy.deepcopy(network)
    functional.set_step_mode(network, "s")
    nodes = nodes_of(network)
    spikes: dict[str, list[Tensor]] = {name: [] for name in nodes}
    potentials: dict[str, list[Tensor]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        node.register_forward_hook(lambda _, __, output, name=name: spikes[name].append(output))
    for x in inputs:
        network(x)
        for name, node in nodes.items():
            potentials[name].append(node.v)
    return {name: (torch.stack(spikes[name]), torch.stack(potentials[name])) for name in nodes}


@torch.no_grad()
def all_at_once(network: nn.Module, inputs: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """The same in mode 'm'; nodes that store no sequence of potentials give the last one."""
    network = copy.deepcopy(network)
    functional.set_step_mode(network, "m")
    nodes = nodes_of(network)
    spikes: dict[str, Tensor] = {}
    for name, node in nodes.items():
        if hasattr(node, "store_v_seq"):
            node.store_v_seq = True
        node.register_forward_hook(lambda _, __, output, name=name: spikes.update({name: output}))
    network(inputs)
    return {
        name: (spikes[name], node.v_seq if hasattr(node, "store_v_seq") else node.v.unsqueeze(0))
        for name, node in nodes.items()
    }


@settings(max_examples=40, deadline=None)
@given(cases())
def test_networks_are_those_of_integers_at_every_step(case: Case) -> None:
    quantized = quantize_network(case.network, case.config, seed=SEED)
    inputs = case.inputs.tensor()
    single, multi = step_by_step(quantized, inputs), all_at_once(quantized, inputs)
    expected = in_integers(case, quantized)
    assert expected.keys() == single.keys() == multi.keys()
    for name, (spikes, potentials) in expected.items():
        assert torch.equal(single[name][0], spikes)
        assert torch.equal(single[name][1], potentials)
        assert torch.equal(multi[name][0], spikes)
        assert torch.equal(multi[name][1], potentials[-len(multi[name][1]) :])
    functional.set_step_mode(quantized, "m")
    check_exact(freeze_network(quantized), inputs)


@pytest.mark.parametrize("rounding", Rounding)
def test_a_layer_by_hand(rounding: Rounding) -> None:
    """Membranes in quarters, decay 1/2: 3/4 becomes 3/8, plus 1/16, which is stored as 1/4 or 1/2."""
    fmt = QFormat(1, 2)
    parameters = IntegrateAndFire(fmt, rounding, 1.0, None, leaky=True, decay_input=False, detach_reset=False)
    start, halved = torch.full((1000,), 0.75), torch.tensor(0.5)
    inputs = torch.full((1, 1000), 0.0625)
    generator = torch.Generator().manual_seed(0)
    _, potentials = integrate_and_fire(inputs, start, halved, parameters, step_function, generator)
    values = set(potentials.unique().tolist())  # type: ignore[no-untyped-call]
    expected = {
        Rounding.TRUNCATION: {0.25},
        Rounding.NEAREST: {0.5},
        Rounding.STOCHASTIC: {0.25, 0.5},
    }[rounding]
    assert values == expected
