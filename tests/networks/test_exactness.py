"""What float32 carries exactly, and what not."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import base, functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import InexactError
from qspinn_optuna.fixed_point import QFormat, Rounding
from qspinn_optuna.networks import check_exact, exact_sums, freeze_network, quantize_network
from qspinn_optuna.parameters import Family
from tests.networks.builders import FORMATS, config_of, eighths, run_single, states_of
from tests.networks.integer_lif import conv2d, fixed

STEPS = 4


def make_network() -> nn.Sequential:
    torch.manual_seed(12)
    network = nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1),
        neuron.LIFNode(v_threshold=0.3, v_reset=None),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Linear(16, 5),
        neuron.ParametricLIFNode(3.0, decay_input=False),
        layer.Linear(5, 5),
        neuron.CUBALIFNode(),
        layer.SynapseFilter(3.0),
    )
    functional.set_step_mode(network, "m")
    return network


def frozen(network: nn.Module, rounding: Rounding, formats: dict[Family, QFormat] | None = None) -> nn.Module:
    return freeze_network(quantize_network(network, config_of(network, rounding, {**FORMATS, **(formats or {})})))


@pytest.mark.parametrize("rounding", Rounding)
def test_exact_networks_pass(rounding: Rounding) -> None:
    check_exact(frozen(make_network(), rounding), eighths(STEPS, 2, 1, 4, 4))


@pytest.mark.parametrize("rounding", Rounding)
def test_the_check_leaves_the_network_as_it_is(rounding: Rounding) -> None:
    network = frozen(make_network(), rounding)
    inputs = eighths(STEPS, 2, 1, 4, 4)
    untouched = copy.deepcopy(network)
    network(inputs)
    untouched(inputs)
    check_exact(network, inputs)
    assert all(torch.equal(value, states_of(untouched)[name]) for name, value in states_of(network).items())
    assert torch.equal(network(inputs), untouched(inputs))
    assert next(network.parameters()).dtype == torch.float32


@pytest.mark.parametrize("rounding", Rounding)
def test_sums_over_24_bits_are_refused(rounding: Rounding) -> None:
    """Weights of 17 bits times inputs of 8 bits, 500 of them."""
    torch.manual_seed(13)
    network: Any = nn.Sequential(nn.Linear(500, 100), neuron.IFNode(v_threshold=1000.0))
    nn.init.uniform_(network[0].weight, -1, 1)
    formats = {Family.WEIGHT: QFormat(0, 16), Family.MEMBRANE: QFormat(5, 18), Family.THRESHOLD: QFormat(10, 0, False)}
    inputs = torch.randint(0, 256, (8, 500)) / 256
    with pytest.raises(ValueError, match=r"float32 cannot carry.*: 0 differs .* fewer bits"):
        check_exact(frozen(network, rounding, formats), inputs)
    check_exact(frozen(network, rounding, formats | {Family.WEIGHT: QFormat(0, 6)}), inputs)


class Sum(nn.Module):
    """Adds what two synapses put out, in no layer: only the output of the network can show it."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse, self.fine, self.node = nn.Linear(1, 1, False), nn.Linear(1, 1, False), neuron.IFNode()
        nn.init.constant_(self.coarse.weight, 1.0)
        nn.init.constant_(self.fine.weight, 2.0**-12)

    def forward(self, x: Tensor) -> Tensor:
        large = self.coarse(x[:, :1])
        output: Tensor = (large + self.fine(x[:, 1:])) - large
        return output


@pytest.mark.parametrize(("large", "exact"), [(1.0, True), (2.0**11, True), (2.0**13, False)])
def test_outputs_are_checked_too(large: float, exact: bool) -> None:
    network = frozen(Sum(), Rounding.NEAREST, {Family.WEIGHT: QFormat(1, 12)})
    inputs = torch.tensor([[large, 1.0]])
    if exact:
        check_exact(network, inputs)
    else:
        with pytest.raises(ValueError, match="the output differs"):
            check_exact(network, inputs)


def test_inputs_off_the_grid_are_refused() -> None:
    """Pixels of 1/255 have more digits than the sums hold; those of 1/256 do not."""
    torch.manual_seed(15)
    network = nn.Sequential(nn.Linear(100, 50), neuron.IFNode(v_threshold=4.0))
    quantized = frozen(network, Rounding.NEAREST, {Family.MEMBRANE: QFormat(3, 19), Family.WEIGHT: QFormat(0, 8)})
    pixels = torch.randint(0, 256, (8, 100))
    with pytest.raises(ValueError, match=r"0 differs from its exact value .* pixels multiples of 1/256"):
        check_exact(quantized, pixels / 255)
    check_exact(quantized, pixels / 256)


class Normalized(nn.Module):
    """Divides by the sum of the spikes, which is 0 where none fires."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.node = nn.Linear(1, 1, False), neuron.IFNode()
        nn.init.constant_(self.linear.weight, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.node(self.linear(x))
        normalized: Tensor = spikes / spikes.sum(1, keepdim=True)
        return normalized


def test_nan_is_refused_and_infinite_inputs_are_the_callers() -> None:
    network = frozen(Normalized(), Rounding.NEAREST, {Family.WEIGHT: QFormat(1, 4)})
    check_exact(network, torch.ones(1, 1))
    with pytest.raises(InexactError, match="the output NaN"):
        check_exact(network, torch.zeros(1, 1))
    with pytest.raises(ValueError, match="inputs must be finite") as caught:
        check_exact(network, torch.full((1, 1), torch.inf))
    assert not isinstance(caught.value, InexactError)


class Exploding(base.MemoryModule):  # type: ignore[misc]
    """A neuron of the user's whose state leaves all ranges."""

    def __init__(self) -> None:
        super().__init__()
        self.register_memory("v", 0.0)

    def single_step_forward(self, x: Tensor) -> Tensor:
        self.v = torch.exp(1000 * x)
        spikes: Tensor = (self.v > 1).to(x)
        return spikes


def test_weights_and_states_that_are_not_finite_are_inexact_and_named() -> None:
    network: Any = nn.Sequential(nn.Linear(2, 2, bias=False), Exploding())
    quantized = quantize_network(network, config_of(network, Rounding.NEAREST, FORMATS))
    with pytest.raises(InexactError, match=r"1\.v cannot be stored"):
        quantized(torch.full((1, 2), 1e4) * network[0].weight.detach().sign())
    next(quantized.parameters()).data.fill_(torch.nan)
    for use in (lambda: quantized(torch.ones(1, 2)), lambda: freeze_network(quantized)):
        with pytest.raises(InexactError, match=r"0\.weight is no longer finite"):
            use()


def flags() -> tuple[object, ...]:
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.enabled,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.nnpack.flags is not None and torch._C._get_nnpack_enabled(),
    )


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
@pytest.mark.parametrize("fails", [False, True])
def test_exact_sums_restore_what_they_found(precision: str, fails: bool) -> None:
    found = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        before = flags()
        try:
            with exact_sums():
                assert torch.get_float32_matmul_precision() == "highest"
                assert not torch.backends.cudnn.enabled
                assert not torch._C._get_nnpack_enabled()
                if fails:
                    raise RuntimeError("of the user's")
        except RuntimeError:
            assert fails
        assert flags() == before
    finally:
        torch.set_float32_matmul_precision(found)


def test_exact_sums_of_threads_overlap() -> None:
    """One thread is within while another leaves: the flags stay off until the last has left."""
    found = torch.get_float32_matmul_precision()
    entered, may_leave = threading.Event(), threading.Event()

    def stay() -> None:
        with exact_sums():
            entered.set()
            assert may_leave.wait(10)

    try:
        torch.set_float32_matmul_precision("high")
        before = flags()
        with ThreadPoolExecutor(1) as threads:
            with exact_sums():
                other = threads.submit(stay)
                assert entered.wait(10)
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.enabled
            may_leave.set()
            other.result()
        assert flags() == before
    finally:
        torch.set_float32_matmul_precision(found)


def test_quantized_layers_restore_what_they_found() -> None:
    before = flags()
    run_single(frozen(make_network(), Rounding.NEAREST), eighths(STEPS, 2, 1, 4, 4))
    assert flags() == before


def test_large_convolutions_are_those_of_integers() -> None:
    """Of a size for which fast algorithms are chosen: batch 16, 16 channels, 3 x 3. They would miss some sums."""
    torch.manual_seed(16)
    network = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, bias=False), neuron.IFNode(v_threshold=1e6))
    formats = {Family.WEIGHT: QFormat(0, 12), Family.MEMBRANE: QFormat(4, 19), Family.THRESHOLD: QFormat(20, 0, False)}
    quantized = frozen(network, Rounding.NEAREST, formats)
    inputs = torch.randint(0, 128, (16, 16, 12, 12), generator=torch.Generator().manual_seed(0)) / 128
    sums: list[Tensor] = []
    quantized.get_submodule("0").register_forward_hook(lambda _, __, output: sums.append(output))
    with torch.no_grad():
        quantized(inputs)
    weight: Tensor = quantized.get_submodule("0").weight  # type: ignore[assignment]
    expected = conv2d(fixed(inputs, 7), fixed(weight, 12), None, 1, 1)
    assert np.array_equal(fixed(sums[0], 19).codes, expected.codes)
