"""The gradient of a fused sequence against plain autograd, and rounding of codes against fractions."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from unittest.mock import Mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding
from qspinn_optuna.fixed_point.simulated_rounding import round_positions
from qspinn_optuna.networks import quantize_network
from qspinn_optuna.networks.modules import sequence_kernel
from qspinn_optuna.networks.modules.integrate_and_fire import (
    IntegrateAndFire,
    integrate_and_fire,
)

MEMBRANE = QFormat(1, 4)
"""From -2 to 1.9375: the inputs below reach both ends."""

STEPS = 8
SHAPE = (3, 5)


def straight_round(y: Tensor, fmt: QFormat, rounding: Rounding) -> Tensor:
    codes = (y.detach() / fmt.resolution + (0.5 if rounding is Rounding.NEAREST else 0.0)).floor()
    return y + (codes * fmt.resolution - y).detach()


def reference(
    x_seq: Tensor, v: Tensor, decay: Tensor, parameters: IntegrateAndFire, spike: nn.Module
) -> tuple[Tensor, Tensor]:
    """The same steps by torch operations, of which autograd knows the gradients."""
    fmt, rounding = parameters.membrane, parameters.rounding
    rest = parameters.reset or 0.0
    spikes, potentials = [], []
    for x in x_seq:
        if not parameters.leaky:
            u = v + x
        elif parameters.decay_input:
            u = v + (1 - decay) * (rest - v + x)
        else:
            u = v + (1 - decay) * (rest - v) + x
        fired = spike(u - parameters.threshold)
        gate = fired.detach() if parameters.detach_reset else fired
        kept = u - gate * parameters.threshold if parameters.reset is None else gate * rest + (1 - gate) * u
        v = straight_round(kept.clamp(fmt.min, fmt.max), fmt, rounding)
        spikes.append(fired)
        potentials.append(v)
    return torch.stack(spikes), torch.stack(potentials)


@dataclass(frozen=True)
class Run:
    spikes: Tensor
    potentials: Tensor
    gradients: tuple[Tensor, ...]


def run_both(
    parameters: IntegrateAndFire,
    weights: tuple[float, float],
    shape: tuple[int, ...] = SHAPE,
    dtype: torch.dtype = torch.float64,
    trains_decay: bool = True,
) -> tuple[Run, Run]:
    """Fused and composed, with gradients of a random loss that weighs spikes and potentials by ``weights``."""
    generator = torch.Generator().manual_seed(3)
    x_seq = (torch.randint(-40, 56, (STEPS, *shape), generator=generator) / 32).to(dtype)
    first = (torch.randint(-20, 20, shape, generator=generator) / 16).to(dtype)
    of_spikes, of_potentials = torch.randn(2, STEPS, *shape, generator=generator, dtype=dtype)
    runs = []
    for function in (integrate_and_fire, reference):
        inputs = (x_seq.clone().requires_grad_(), first.clone().requires_grad_())
        decay = torch.tensor(0.8125, dtype=dtype, requires_grad=trains_decay)
        spikes, potentials = function(*inputs, decay, parameters, surrogate.ATan())
        loss = weights[0] * (of_spikes * spikes).sum() + weights[1] * (of_potentials * potentials).sum()
        wanted = (*inputs, decay) if parameters.leaky and trains_decay else inputs
        runs.append(Run(spikes.detach(), potentials.detach(), torch.autograd.grad(loss, wanted)))
    return runs[0], runs[1]


LEAKS = [(False, False), (True, False), (True, True)]
RESETS = [None, 0.0, -0.25, 0.5]


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (0.7, -1.3)], ids=["spikes", "potentials", "both"])
@pytest.mark.parametrize(("leaky", "decay_input"), LEAKS)
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("detach_reset", [False, True])
def test_gradients_are_those_of_autograd(
    detach_reset: bool, reset: float | None, leaky: bool, decay_input: bool, weights: tuple[float, float]
) -> None:
    for rounding in (Rounding.TRUNCATION, Rounding.NEAREST):
        parameters = IntegrateAndFire(MEMBRANE, rounding, 0.75, reset, leaky, decay_input, detach_reset)
        fused, composed = run_both(parameters, weights)
        assert torch.equal(fused.spikes, composed.spikes)
        assert torch.equal(fused.potentials, composed.potentials)
        for ours, theirs in zip(fused.gradients, composed.gradients, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("leaky", "decay_input"), LEAKS)
@pytest.mark.parametrize("reset", RESETS)
def test_kernels_compute_the_same(
    reset: float | None, leaky: bool, decay_input: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the end of a block; thresholds that are never reached belong to readouts."""
    monkeypatch.setattr(sequence_kernel, "_SMALLEST", 1)
    kernels = [Mock(wraps=kernel) for kernel in (sequence_kernel.run, sequence_kernel.gradients)]
    for name, kernel in zip(("run", "gradients"), kernels, strict=True):
        monkeypatch.setattr(sequence_kernel, name, kernel)
    cases = itertools.product(
        (Rounding.TRUNCATION, Rounding.NEAREST), (0.75, math.inf), (False, True), ((1.0, 0.0), (0.0, 1.0), (0.7, -1.3))
    )
    for rounding, threshold, detach_reset, weights in cases:
        if threshold == math.inf and not (reset is not None and detach_reset):
            continue  # In the reference, infinity times nothing is not a number.
        parameters = IntegrateAndFire(MEMBRANE, rounding, threshold, reset, leaky, decay_input, detach_reset)
        fused, composed = run_both(parameters, weights, (3, 700), torch.float32, trains_decay=False)
        assert torch.equal(fused.spikes, composed.spikes)
        assert torch.equal(fused.potentials, composed.potentials)
        for ours, theirs in zip(fused.gradients, composed.gradients, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert all(kernel.called for kernel in kernels)


@pytest.mark.parametrize("smallest", [1, 1 << 20], ids=["kernel", "torch"])
@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("reset", [None, 0.0])
def test_gradients_pass_neurons_that_never_fire(
    reset: float | None, detach_reset: bool, smallest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readouts: their potential halves in a step, and so does its gradient."""
    monkeypatch.setattr(sequence_kernel, "_SMALLEST", smallest)
    x_seq = torch.full((3, 2), 0.25, requires_grad=True)
    parameters = IntegrateAndFire(MEMBRANE, Rounding.NEAREST, math.inf, reset, True, False, detach_reset)
    _, potentials = integrate_and_fire(x_seq, torch.zeros(2), torch.tensor(0.5), parameters, surrogate.ATan())
    potentials[-1].sum().backward()  # type: ignore[no-untyped-call]
    assert x_seq.grad is not None
    assert x_seq.grad.tolist() == [[0.25, 0.25], [0.5, 0.5], [1.0, 1.0]]


def test_kernels_leave_what_is_not_a_number_to_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_kernel, "_SMALLEST", 1)
    parameters = IntegrateAndFire(MEMBRANE, Rounding.NEAREST, 0.75, 0.0, True, False, True)
    x_seq = torch.tensor([[0.5, math.nan], [0.25, 0.0]])
    _, potentials = integrate_and_fire(x_seq, torch.zeros(2), torch.tensor(0.5), parameters, surrogate.ATan())
    assert potentials[:, 0].tolist() == [0.5, 0.5]
    assert bool(potentials[:, 1].isnan().all())


def test_the_inputs_of_those_gradients_fire_and_saturate() -> None:
    """Otherwise the comparison above would say little."""
    for reset, (leaky, decay_input) in itertools.product(RESETS, LEAKS[:2]):
        parameters = IntegrateAndFire(MEMBRANE, Rounding.NEAREST, 0.75, reset, leaky, decay_input, False)
        fused, _ = run_both(parameters, (1.0, 0.0))
        assert 0.05 < float(fused.spikes.mean()) < 0.95
        if not leaky:
            assert bool((fused.potentials == MEMBRANE.min).any())


def test_no_gradient_passes_a_potential_that_saturates() -> None:
    parameters = IntegrateAndFire(MEMBRANE, Rounding.NEAREST, 0.75, None, False, False, detach_reset=True)
    x_seq = torch.tensor([[-0.5, -3.0, 6.0], [0.0, 0.0, 0.0]], requires_grad=True)
    _, potentials = integrate_and_fire(x_seq, torch.zeros(3), torch.ones(()), parameters, surrogate.ATan())
    potentials[-1].sum().backward()  # type: ignore[no-untyped-call]
    # After -3 and 6 - 0.75 the potential is an end of the range; a step later the highest one fires.
    assert x_seq.grad is not None
    assert x_seq.grad.tolist() == [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    assert potentials[0].tolist() == [-0.5, MEMBRANE.min, MEMBRANE.max]


def test_stochastic_rounding_passes_gradients_straight() -> None:
    parameters = IntegrateAndFire(QFormat(6, 2), Rounding.STOCHASTIC, 50.0, None, True, False, True)
    x_seq = torch.rand(4, 7, requires_grad=True)
    generator = torch.Generator().manual_seed(0)
    _, potentials = integrate_and_fire(
        x_seq, torch.zeros(7), torch.tensor(0.5), parameters, surrogate.ATan(), generator
    )
    potentials[-1].sum().backward()  # type: ignore[no-untyped-call]
    # Far below the threshold the slope of the surrogate hardly matters: each step halves the gradient.
    assert x_seq.grad is not None
    expected = torch.tensor([0.125, 0.25, 0.5, 1.0]).unsqueeze(1).expand(4, 7)
    torch.testing.assert_close(x_seq.grad, expected)


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("reset", [None, 0.25])
def test_a_learned_decay_and_weights_get_the_gradients_of_autograd(
    step_mode: str, decay_input: bool, reset: float | None
) -> None:
    node = neuron.ParametricLIFNode(3.0, decay_input, 0.75, reset, surrogate.ATan())
    network = nn.Sequential(layer.Linear(4, 5), node).double()
    decay_format = QFormat(0, 6, signed=False)
    formats = {
        "0.weight": QFormat(0, 4),
        "0.bias": QFormat(0, 4),
        "1.v": MEMBRANE,
        "1.decay": decay_format,
        "1.threshold": QFormat(1, 4, signed=False),
    }
    config = QuantizationConfig(
        Scheme.ITQ, {name: ParameterQuantization(fmt, Rounding.NEAREST) for name, fmt in formats.items()}
    )
    quantized = quantize_network(network, config)
    functional.set_step_mode(quantized, step_mode)
    x_seq = torch.randint(0, 2, (STEPS, 3, 4), generator=torch.Generator().manual_seed(1)).double()
    spikes = quantized(x_seq) if step_mode == "m" else torch.stack([quantized(x) for x in x_seq])
    factors = torch.randn(spikes.shape, generator=torch.Generator().manual_seed(2)).double()
    (spikes * factors).sum().backward()

    weight, bias, w = (value.detach().clone().requires_grad_() for value in (*network[0].parameters(), node.w))
    decay = straight_round(1 - w.sigmoid(), decay_format, Rounding.NEAREST)
    sums = x_seq @ straight_round(weight, formats["0.weight"], Rounding.NEAREST).T
    sums = sums + straight_round(bias, formats["0.bias"], Rounding.NEAREST)
    parameters = IntegrateAndFire(MEMBRANE, Rounding.NEAREST, 0.75, reset, True, decay_input, False)
    first = torch.full((3, 5), reset or 0.0, dtype=torch.float64)
    expected, _ = reference(sums, first, decay, parameters, surrogate.ATan())
    gradients = torch.autograd.grad((expected * factors).sum(), (weight, bias, w))
    assert torch.equal(spikes, expected)
    for ours, theirs in zip(quantized.parameters(), gradients, strict=True):
        assert ours.grad is not None
        assert float(theirs.abs().max()) > 0
        torch.testing.assert_close(ours.grad, theirs, rtol=1e-10, atol=1e-12)


def test_second_half_of_a_sequence_continues_the_first() -> None:
    parameters = IntegrateAndFire(MEMBRANE, Rounding.TRUNCATION, 0.75, 0.25, True, True, False)
    x_seq = torch.randint(-40, 56, (STEPS, *SHAPE), generator=torch.Generator().manual_seed(5)) / 32
    decay, start = torch.tensor(0.75), torch.zeros(SHAPE)
    spikes, potentials = integrate_and_fire(x_seq, start, decay, parameters, surrogate.ATan())
    early = integrate_and_fire(x_seq[:3], start, decay, parameters, surrogate.ATan())
    late = integrate_and_fire(x_seq[3:], early[1][-1], decay, parameters, surrogate.ATan())
    assert torch.equal(spikes, torch.cat([early[0], late[0]]))
    assert torch.equal(potentials, torch.cat([early[1], late[1]]))


# Rounding -----------------------------------------------------------------------------------------------------------


def exact_code(value: float, rounding: Rounding, draw: float) -> int:
    added = {
        Rounding.TRUNCATION: Fraction(0),
        Rounding.NEAREST: Fraction(1, 2),
        Rounding.STOCHASTIC: Fraction(draw),
    }[rounding]
    return math.floor(Fraction(value) + added)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-(2**22), 2**22), st.integers(0, 22)), min_size=1, max_size=20),
    st.sampled_from(Rounding),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 99),
)
def test_codes_are_rounded_like_fractions(
    numbers: list[tuple[int, int]], rounding: Rounding, dtype: torch.dtype, seed: int
) -> None:
    """Numbers of at most 23 digits, and the same draws whatever their type."""
    y = torch.tensor([math.ldexp(digits, -places) for digits, places in numbers], dtype=dtype)
    draws = torch.rand(len(y), generator=torch.Generator().manual_seed(seed)).tolist()
    codes = round_positions(y.clone(), rounding, torch.Generator().manual_seed(seed))
    expected = [exact_code(value, rounding, draw) for value, draw in zip(y.tolist(), draws, strict=True)]
    assert codes.tolist() == expected


def test_a_draw_that_just_fills_a_step_rounds_up() -> None:
    """floor(y + u) is 1 where y + u is exactly 1, and 0 a digit below."""
    draws = torch.rand(1000, generator=torch.Generator().manual_seed(9))
    digit = 2.0**-24
    for missing, code in ((0.0, 1.0), (digit, 0.0)):
        codes = round_positions(1 - draws - missing, Rounding.STOCHASTIC, torch.Generator().manual_seed(9))
        assert torch.equal(codes, torch.full((1000,), code))


@pytest.mark.parametrize("rounding", Rounding)
def test_integers_stay(rounding: Rounding) -> None:
    y = torch.cat([torch.arange(-100_000, 100_000.0), torch.tensor([2.0**23, -(2.0**23), 2.0**22 + 1])])
    assert torch.equal(round_positions(y.clone(), rounding, torch.Generator().manual_seed(0)), y)
