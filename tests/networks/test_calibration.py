"""Ranges, widths and counts that calibration finds, against brute force on what the float network shows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from qspinn_optuna.fixed_point import QFormat, Rounding, quantize
from qspinn_optuna.networks import RangeMethod, calibrate, find_parameters
from qspinn_optuna.networks.ranges import least_squares_formats
from qspinn_optuna.parameters import Family, ParameterSpec
from tests.networks.builders import eighths

STEPS = 6
THRESHOLD = 0.4


def make_network() -> nn.Sequential:
    torch.manual_seed(4)
    network = nn.Sequential(
        layer.Linear(5, 4),
        neuron.LIFNode(2.5, v_threshold=THRESHOLD, v_reset=-0.25),
        layer.Linear(4, 3),
        neuron.IFNode(v_threshold=THRESHOLD, v_reset=None),
    )
    functional.set_step_mode(network, "m")
    return network


BATCHES = [eighths(STEPS, 3, 5, seed=seed) for seed in range(3)]
STARTS = {"1.v": -0.25, "3.v": 0.0}


def specs_of(
    network: nn.Module, batches: Any = BATCHES, method: RangeMethod = RangeMethod.MIN_MAX, **arguments: Any
) -> dict[str, ParameterSpec]:
    return {spec.name: spec for spec in calibrate(network, batches, method, **arguments)}


@torch.no_grad()
def recorded() -> dict[str, NDArray[np.float64]]:
    """All values of parameters and states, as the float network stores them; fresh states are states too."""
    network: Any = make_network()
    values: dict[str, list[Tensor]] = {name: [] for name in STARTS}
    for name in STARTS:
        network.get_submodule(name[0]).store_v_seq = True
    for batch in BATCHES:
        functional.reset_net(network)
        network(batch)
        for name, start in STARTS.items():
            sequence = network.get_submodule(name[0]).v_seq
            values[name] += [torch.full_like(sequence[0], start).flatten(), sequence.flatten()]
    found = {name: torch.cat(parts) for name, parts in values.items()}
    found |= {name: parameter.detach().flatten() for name, parameter in network.named_parameters()}
    return {name: value.double().numpy() for name, value in found.items()}


def test_the_order_and_families_are_those_of_the_modules() -> None:
    specs = calibrate(make_network(), BATCHES)
    assert [(spec.name, spec.family) for spec in specs] == [
        ("0.weight", Family.WEIGHT),
        ("0.bias", Family.BIAS),
        ("1.v", Family.MEMBRANE),
        ("1.threshold", Family.THRESHOLD),
        ("1.decay", Family.DECAY),
        ("2.weight", Family.WEIGHT),
        ("2.bias", Family.BIAS),
        ("3.v", Family.MEMBRANE),
        ("3.threshold", Family.THRESHOLD),
    ]


def test_min_max_is_from_the_smallest_to_the_largest() -> None:
    specs = specs_of(make_network())
    for name, values in recorded().items():
        assert specs[name].low == min(values.min(), 0.0)
        assert specs[name].high == max(values.max(), 0.0)
        assert specs[name].formats == ()


@pytest.mark.parametrize("percentile", [60.0, 90.0, 100.0])
def test_percentiles_cut_both_ends(percentile: float) -> None:
    specs = specs_of(make_network(), method=RangeMethod.PERCENTILE, percentile=percentile)
    cut = (100 - percentile) / 2
    for name, values in recorded().items():
        low, high = np.percentile(values, [cut, 100 - cut])
        assert specs[name].low == pytest.approx(min(low, 0.0), rel=1e-12, abs=1e-15)
        assert specs[name].high == pytest.approx(max(high, 0.0), rel=1e-12, abs=1e-15)


def error_of(values: NDArray[np.float64], fmt: QFormat) -> float:
    rounded = quantize(torch.from_numpy(values), fmt, Rounding.NEAREST).numpy()
    return float(((rounded - values) ** 2).mean())


def least_error(values: NDArray[np.float64], bits: int) -> float:
    """Of all formats of that width, signed and unsigned, from 2**-14 to 2**10; one signed bit has no positive code."""
    useless = bits == 1 and (values > 0).any()
    signs = (False,) if useless else (False, True)
    formats = [
        QFormat(integer_bits, bits - signed - integer_bits, signed)
        for integer_bits in range(-14, 11)
        for signed in signs
    ]
    return min(error_of(values, fmt) for fmt in formats)


def test_least_squares_takes_the_best_format_of_every_width() -> None:
    """Potentials below minus the threshold count as minus the threshold."""
    specs = specs_of(make_network(), method=RangeMethod.LEAST_SQUARES)
    for name, values in recorded().items():
        kept = values.clip(min=-THRESHOLD) if name in STARTS else values
        assert [fmt.bits for fmt in specs[name].formats] == [*range(1, specs[name].max_bits + 1)]
        for fmt in specs[name].formats[:9]:
            assert error_of(kept, fmt) <= least_error(kept, fmt.bits) * (1 + 1e-9)
            assert specs[name].format(fmt.bits) == fmt


def test_some_potentials_are_below_minus_the_threshold() -> None:
    assert (recorded()["3.v"] < -THRESHOLD).any()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=12).filter(lambda values: max(map(abs, values)) > 2**-6),
    st.integers(1, 8),
)
def test_formats_of_least_squares_are_the_best(numbers: list[float], bits: int) -> None:
    values = np.array(numbers, np.float64)
    # One bit holds no negative value beside positive ones: the largest value that it holds must be near the largest.
    assume(bits > 1 or values.max() <= 0 or values.max() > np.abs(values).max() / 64)
    (fmt,) = least_squares_formats(values, [bits])
    assert fmt.bits == bits
    # A wider search than the one that is made: down to 256 times less than the largest value.
    assert error_of(values, fmt) <= least_error(values, bits) * (1 + 1e-9)


def test_ranges_reach_zero() -> None:
    network: Any = nn.Sequential(nn.Linear(2, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[0.5, 0.75], [1.0, 2.0]]))
        network[0].bias.copy_(torch.tensor([-0.5, -0.25]))
    specs = specs_of(network, [torch.ones(1, 2)])
    assert (specs["0.weight"].low, specs["0.weight"].high) == (0.0, 2.0)
    assert (specs["0.bias"].low, specs["0.bias"].high) == (-0.5, 0.0)


class Residual(nn.Sequential):
    """Adds the input to what the modules put out."""

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return output + x


@pytest.mark.parametrize("method", RangeMethod)
def test_what_is_zero_throughout_gets_a_range_around_it(method: RangeMethod) -> None:
    network: Any = Residual(nn.Linear(2, 2), neuron.IFNode())
    nn.init.zeros_(network[0].weight)
    nn.init.zeros_(network[0].bias)
    specs = specs_of(network, [torch.ones(1, 2)], method)
    for name in ("0.weight", "0.bias", "1.v"):
        assert specs[name].low < 0 < specs[name].high
        assert [str(fmt) for fmt in specs[name].formats] == [str(specs[name].format(1))]


def test_thresholds_and_decays_cover_their_values() -> None:
    specs = specs_of(make_network())
    assert (specs["1.threshold"].low, specs["1.threshold"].high) == (0.0, THRESHOLD)
    for bits in (1, 4, 10):
        assert specs["1.decay"].format(bits) == QFormat(0, bits, signed=False)
    assert specs["1.decay"].count == specs["1.threshold"].count == 1


# Widths -------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 200), st.integers(0, 8), st.integers(0, 10**6))
def test_the_widest_weights_sum_up_exactly(fan_in: int, largest: int, places: int, seed: int) -> None:
    """The largest codes and odd ones, times the largest inputs: float32 gives what integers give."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, largest + 1, (2, fan_in))
    codes[0] = largest
    inputs = torch.from_numpy(np.ldexp(codes.astype(np.float64), -places)).float()
    network = nn.Sequential(nn.Linear(fan_in, 3, bias=False))
    bits = specs_of(network, [inputs])["0.weight"].max_bits
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    weights = np.stack([np.full(fan_in, low), np.full(fan_in, high), rng.integers(low, high + 1, fan_in)])
    exact = codes.astype(np.int64) @ weights.T.astype(np.int64)
    sums = nn.functional.linear(inputs, torch.from_numpy(weights).float())
    assert (np.ldexp(sums.double().numpy(), places) == exact).all()
    assert bits == 16 or np.abs(exact).max() > 2**21  # no width is given away


def test_wide_sums_leave_narrow_weights() -> None:
    network = nn.Sequential(nn.Linear(2**10, 1, bias=False))
    inputs = torch.full((1, 2**10), 255.0)
    # 2**10 * 255 takes 18 bits, which leaves 24 - 18 = 6.
    assert specs_of(network, [inputs])["0.weight"].max_bits == 6


def test_sums_that_no_width_carries_are_refused() -> None:
    network = nn.Sequential(nn.Linear(2**10, 1, bias=False))
    inputs = torch.full((1, 2**10), 2.0**14 - 1)
    with pytest.raises(ValueError, match=r"1024 inputs of 0, .*not exact in float32.*make its inputs coarser"):
        calibrate(network, [inputs])


@pytest.mark.parametrize(
    ("synapse", "inputs", "fan_in"),
    [
        (nn.Conv2d(4, 6, 3, groups=2), (1, 4, 5, 5), 18),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), (1, 4, 5, 5), 18),
        (nn.Conv1d(3, 2, 5), (1, 3, 9), 15),
        (nn.Conv3d(2, 2, 2), (1, 2, 3, 3, 3), 16),
    ],
)
def test_convolutions_sum_over_their_kernels(synapse: nn.Module, inputs: tuple[int, ...], fan_in: int) -> None:
    network = nn.Sequential(synapse)
    largest = 2**12 - 1
    bits = specs_of(network, [torch.full(inputs, float(largest))])["0.weight"].max_bits
    assert bits == 24 - math.ceil(math.log2(fan_in * largest))


def test_leaky_membranes_leave_room_for_the_decay() -> None:
    specs = specs_of(make_network())
    assert specs["1.v"].max_bits + specs["1.decay"].max_bits <= 23
    assert specs["3.v"].max_bits == 16


# States -------------------------------------------------------------------------------------------------------------


def test_binary_states_take_one_bit() -> None:
    network = nn.Sequential(layer.Linear(5, 4), neuron.IFNode(v_threshold=0.3), layer.Delay(3))
    functional.set_step_mode(network, "m")
    spec = specs_of(network)["2.queue"]
    assert (spec.fixed_bits, spec.count, spec.low, spec.high) == (1, 3 * 4, 0.0, 1.0)


def test_delays_of_other_values_are_searched() -> None:
    network = nn.Sequential(layer.Delay(2), layer.Linear(5, 4), neuron.IFNode())
    functional.set_step_mode(network, "m")
    spec = specs_of(network)["0.queue"]
    assert (spec.fixed_bits, spec.count, spec.low, spec.high) == (None, 10, 0.0, 1.5)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_counts_are_those_of_a_sample(batch: int) -> None:
    network = nn.Sequential(layer.Conv2d(1, 3, 3), neuron.CUBALIFNode(), layer.Flatten(), layer.Linear(12, 2))
    inputs = eighths(batch, 1, 4, 4)
    counts = {name: spec.count for name, spec in specs_of(network, [inputs]).items()}
    expected = {
        "0.weight": 27, "0.bias": 3, "1.v": 12, "1.c": 12, "1.threshold": 1, "1.c_decay": 1, "1.v_decay": 1,
        "3.weight": 24, "3.bias": 2,
    }  # fmt: skip
    assert counts == expected
    assert {parameter.name: parameter.count for parameter in find_parameters(network, inputs)} == expected


def test_sizes_of_states_are_unknown_without_a_sample() -> None:
    counts = {parameter.name: parameter.count for parameter in find_parameters(make_network())}
    assert counts["1.v"] is None
    assert counts["0.weight"] == 20


def test_the_network_is_left_alone() -> None:
    network = make_network().train()
    output = network(BATCHES[0])
    state = network[1].v
    calibrate(network, BATCHES)
    assert network.training
    assert network[1].v is state
    output.sum().backward()
    assert network[0].weight.grad is not None


# Batches ------------------------------------------------------------------------------------------------------------


def as_loader() -> Iterable[Any]:
    """Time first in a batch: the collation puts samples first, so it moves them."""

    def collate(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        return torch.stack([sample for sample, _ in samples], 1), torch.stack([label for _, label in samples])

    samples = torch.cat(BATCHES, 1).transpose(0, 1)
    return DataLoader(TensorDataset(samples, torch.arange(len(samples))), batch_size=3, collate_fn=collate)


@pytest.mark.parametrize(
    "batches",
    [
        tuple(BATCHES),
        [(batch, torch.zeros(3)) for batch in BATCHES],
        [[batch, "labels"] for batch in BATCHES],
        as_loader(),
        (batch for batch in BATCHES),
    ],
    ids=["tuple", "pairs", "lists", "DataLoader", "generator"],
)
def test_batches_may_be_many_things(batches: Any) -> None:
    assert calibrate(make_network(), batches) == calibrate(make_network(), BATCHES)


def test_seeds_choose_the_values_of_large_states() -> None:
    network = nn.Sequential(layer.Linear(5, 3000), neuron.IFNode())
    first, same, other = (
        specs_of(network, [eighths(4, 5)], RangeMethod.PERCENTILE, percentile=90, seed=seed) for seed in (0, 0, 1)
    )
    assert first == same
    assert first["1.v"] != other["1.v"]
    assert first["0.weight"] == other["0.weight"]


# Errors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [[], (), iter([])])
def test_no_batches_are_refused(empty: Any) -> None:
    with pytest.raises(ValueError, match="at least one batch, got none"):
        calibrate(make_network(), empty)


def test_a_used_iterator_is_refused() -> None:
    batches = iter(BATCHES)
    calibrate(make_network(), batches)
    with pytest.raises(ValueError, match="an iterator may be used up"):
        calibrate(make_network(), batches)


def test_a_single_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match=r"give \[tensor\]"):
        calibrate(make_network(), BATCHES[0])


@pytest.mark.parametrize(("batch", "kind"), [("image", "str"), (["image"], "str"), ([], "list"), (None, "NoneType")])
def test_batches_without_a_tensor_are_refused(batch: Any, kind: str) -> None:
    with pytest.raises(TypeError, match=f"batch 1 is {kind}"):
        calibrate(make_network(), [BATCHES[0], batch])


def test_a_batch_that_the_network_does_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Batch 1 of shape \(6, 3, 4\): "):
        calibrate(make_network(), [BATCHES[0], torch.zeros(STEPS, 3, 4)])


def test_a_batch_of_another_shape_is_refused() -> None:
    network = nn.Sequential(layer.Conv2d(1, 2, 3), neuron.IFNode())
    with pytest.raises(ValueError, match=r"Batch 1 .*1\.v has the shape \(3, 2, 3, 3\).*batches of one shape"):
        calibrate(network, [eighths(3, 1, 4, 4), eighths(3, 1, 5, 5)])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_inputs_that_are_not_finite_are_refused(value: float) -> None:
    batch = BATCHES[0].clone()
    batch[2, 1, 3] = value
    with pytest.raises(ValueError, match=r"Batch 0 .*finite"):
        calibrate(make_network(), [batch])


def test_weights_that_are_not_finite_are_refused() -> None:
    network: Any = nn.Sequential(nn.Linear(5, 2))
    with torch.no_grad():
        network[0].weight[0, 0] = math.nan
    with pytest.raises(ValueError, match=r"0\.weight cannot be calibrated: the values are not finite"):
        calibrate(network, BATCHES)


@pytest.mark.parametrize("percentile", [49.9, 100.1, -1.0, math.nan])
def test_percentiles_out_of_range_are_refused(percentile: float) -> None:
    with pytest.raises(ValueError, match="percentile must be between 50 and 100"):
        calibrate(make_network(), BATCHES, RangeMethod.PERCENTILE, percentile=percentile)


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rangemethod must be one of \['min-max', 'percentile', 'least-squares'\]"):
        calibrate(make_network(), BATCHES, "entropy")  # type: ignore[arg-type]


@pytest.mark.parametrize("network", [nn.ReLU(), nn.Sequential(nn.Flatten(), nn.MaxPool1d(2))])
def test_networks_with_nothing_to_quantize_are_refused(network: nn.Module) -> None:
    with pytest.raises(ValueError, match="nothing to quantize"):
        calibrate(network, BATCHES)


def test_a_range_that_no_format_of_a_width_covers_is_refused_by_its_name() -> None:
    spec = specs_of(make_network())["3.v"]
    assert spec.low < 0 < spec.high
    with pytest.raises(ValueError, match=r"Parameter '3\.v': No signed format of 1 bit"):
        spec.format(1)
