"""The input of a network as a parameter."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.config import QuantizationConfig, Scheme
from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding, quantize
from qspinn_optuna.networks import RangeMethod, calibrate, check_exact, freeze_network, quantize_network
from qspinn_optuna.networks.entry.inputs import on_grid
from qspinn_optuna.parameters import Family, ParameterSpec
from qspinn_optuna.space import QuantizationSpace
from tests.networks.builders import config_of, eighths

FORMAT = QFormat(2, 5)


def make_network(step_mode: str = "s") -> nn.Sequential:
    torch.manual_seed(3)
    network = nn.Sequential(
        layer.Linear(6, 8), neuron.LIFNode(v_threshold=0.3), layer.Linear(8, 4), neuron.IFNode(v_threshold=0.3)
    )
    functional.set_step_mode(network, step_mode)
    return network


def gaussian(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def specs_of(network: nn.Module, *batches: Tensor, **arguments: Any) -> dict[str, ParameterSpec]:
    return {spec.name: spec for spec in calibrate(network, batches, **arguments)}


def with_input(network: nn.Module, rounding: Rounding, fmt: QFormat = FORMAT) -> QuantizationConfig:
    parameters = config_of(network, rounding).parameters
    return QuantizationConfig(Scheme.PTQ, {**parameters, "input": ParameterQuantization(fmt, rounding)})


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([0.0, 1.0]),
        torch.tensor([0.0, 17.0, 300.0]),
        torch.arange(256) / 256,
        torch.arange(-2048, 2048) / 1024,
        torch.tensor([70_000, 3, 2**40]),
        torch.tensor([3.0 * 2**-30, 2.0**-28]),
        torch.zeros(2),
        torch.empty(0),
    ],
)
def test_sensors_give_multiples_of_a_power_of_two(values: Tensor) -> None:
    assert on_grid(values)


@pytest.mark.parametrize("values", [torch.arange(256) / 255, gaussian(9), torch.tensor([1.0, 2.0**-20])])
def test_real_numbers_are_on_no_grid(values: Tensor) -> None:
    assert not on_grid(values)


@pytest.mark.parametrize("inputs", [eighths(3, 6), eighths(3, 6) * 100, (eighths(3, 6) * 8).long().float()])
def test_inputs_on_a_grid_are_no_parameter(inputs: Tensor) -> None:
    assert "input" not in specs_of(make_network(), inputs, method=RangeMethod.MIN_MAX)


def test_inputs_off_every_grid_are_measured() -> None:
    batches = [gaussian(3, 6), 2 * gaussian(3, 6)]
    spec = specs_of(make_network(), *batches, method=RangeMethod.MIN_MAX)["input"]
    values = torch.cat(batches)
    assert (spec.family, spec.low, spec.high) == (Family.INPUT, float(values.min()), float(values.max()))
    assert spec.max_bits == 8


class BatchFirst(nn.Module):
    """Takes [batch, steps, features]."""

    def __init__(self) -> None:
        super().__init__()
        self.network = make_network("m")

    def forward(self, x: Tensor) -> Any:
        return self.network(x.transpose(0, 1))


class Repeated(nn.Module):
    """Shows an image, [batch, channels, width], at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.network = make_network("m")

    def forward(self, x: Tensor) -> Any:
        return self.network(self.flatten(x).repeat(3, 1, 1))


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (make_network(), (5, 6)),
        (make_network("m"), (4, 5, 6)),
        (make_network("m"), (4, 4, 6)),
        (make_network("m"), (1, 1, 6)),
        (BatchFirst(), (5, 4, 6)),
        (BatchFirst(), (1, 4, 6)),
        (Repeated(), (5, 3, 2)),
        (Repeated(), (3, 3, 2)),
    ],
)
def test_a_device_holds_one_step_of_one_sample(network: nn.Module, shape: tuple[int, ...]) -> None:
    assert specs_of(network, gaussian(*shape), method=RangeMethod.MIN_MAX)["input"].count == 6


class Rearranged(nn.Module):
    """Takes inputs of any layout, and makes [steps, batch, inputs] of them, or steps of [batch, inputs]."""

    def __init__(self, rearrange: Callable[[Tensor], Tensor], step_mode: str = "m") -> None:
        super().__init__()
        self.rearrange, self.step_mode = rearrange, step_mode
        self.network = make_network(step_mode)

    def forward(self, x: Tensor) -> Any:
        x = self.rearrange(x)
        return self.network(x) if self.step_mode == "m" else torch.stack([self.network(one) for one in x])


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize(
    ("rearrange", "shape", "count"),
    [
        (lambda x: x.permute(2, 0, 1), (5, 6, 4), 6),
        (lambda x: x.permute(0, 2, 1), (4, 6, 5), 6),
        (lambda x: x.permute(2, 1, 0), (6, 5, 4), 6),
        (lambda x: x.squeeze(1).transpose(0, 1), (5, 1, 4, 6), 6),
        (lambda x: x.flatten(0, 1).expand(4, -1, -1), (5, 7, 6), 7 * 6),
        (lambda x: x.view(-1, 4, 6).transpose(0, 1), (5 * 4, 6), 4 * 6),
        (lambda x: x.flatten(1).unsqueeze(0), (5, 2, 3), 6),
    ],
    ids=["steps last", "batch last", "reversed", "rows", "tokens", "folded steps", "no steps"],
)
def test_a_device_holds_one_step_of_one_sample_in_any_layout(
    rearrange: Callable[[Tensor], Tensor], shape: tuple[int, ...], count: int, step_mode: str
) -> None:
    """Steps that are folded into the batch are held at once: nothing tells them from tokens."""
    batches = [(gaussian(*shape), torch.zeros(5, dtype=torch.int64))]
    specs = calibrate(Rearranged(rearrange, step_mode), batches, RangeMethod.MIN_MAX)
    assert next(spec for spec in specs if spec.name == "input").count == count


@pytest.mark.parametrize("rounding", [Rounding.NEAREST, Rounding.TRUNCATION])
def test_inputs_are_rounded_and_saturated_where_they_enter(rounding: Rounding) -> None:
    network, inputs = make_network(), 3 * gaussian(40, 6)
    quantized = quantize_network(network, with_input(network, rounding))
    without = quantize_network(network, config_of(network, rounding))
    assert float(inputs.abs().max()) > FORMAT.max
    assert torch.equal(quantized(inputs), without(quantize(inputs, FORMAT, rounding)))


def test_stochastic_inputs_are_drawn_by_the_seed() -> None:
    network, inputs = make_network(), gaussian(40, 6)
    config = with_input(network, Rounding.STOCHASTIC, QFormat(2, 1))
    outputs = [quantize_network(network, config, seed=seed)(inputs) for seed in (1, 1, 2)]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("rounding", Rounding)
def test_quantized_inputs_are_simulated_exactly(rounding: Rounding) -> None:
    network, inputs = make_network(), gaussian(20, 6)
    check_exact(freeze_network(quantize_network(network, with_input(network, rounding))), inputs)
    with pytest.raises(ValueError, match="0 differs"):
        check_exact(freeze_network(quantize_network(network, config_of(network, rounding))), inputs)


def test_copies_and_pickles_round_their_inputs() -> None:

    network = make_network()
    quantized = quantize_network(network, with_input(network, Rounding.NEAREST))
    inputs = gaussian(5, 6)
    expected = fresh(quantized)(inputs)
    for copied in (copy.deepcopy(quantized), pickle.loads(pickle.dumps(quantized)), freeze_network(quantized)):
        assert torch.equal(fresh(copied)(inputs), expected)
    single = quantize_network(nn.Linear(6, 2), with_input(nn.Linear(6, 2), Rounding.NEAREST))
    assert pickle.loads(pickle.dumps(single))(inputs).shape == (5, 2)


def fresh(network: nn.Module) -> nn.Module:
    functional.reset_net(network)
    return network


def test_gradients_of_inputs_go_straight_through() -> None:
    network = nn.Linear(2, 1)
    quantized: Any = quantize_network(network, with_input(network, Rounding.NEAREST))
    inputs = torch.tensor([[0.3, 100.0]], requires_grad=True)
    quantized(inputs).backward()
    assert inputs.grad is not None
    assert torch.equal(inputs.grad, torch.stack([quantized.weight[0, 0], torch.tensor(0.0)])[None])


@pytest.mark.parametrize(("fan_in", "bits"), [(100, 8), (60_000, 4)])
def test_sums_of_very_many_inputs_leave_bits_to_the_weights(fan_in: int, bits: int) -> None:
    network = nn.Sequential(nn.Linear(fan_in, 2, bias=False), neuron.IFNode())
    specs = specs_of(network, gaussian(2, fan_in), method=RangeMethod.MIN_MAX)
    assert specs["input"].max_bits == bits
    assert specs["0.weight"].max_bits >= 4


class Thresholded(nn.Module):
    """Turns values into events."""

    def __init__(self) -> None:
        super().__init__()
        self.network = make_network()

    def forward(self, x: Tensor) -> Any:
        return self.network((x > 0.5).to(x.dtype))


class WithoutGradients(nn.Module):
    """Its first layer is not trained, so that nothing tells what the input reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.network = nn.Linear(6, 6), make_network()

    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            current = self.frozen(x)
        return self.network(current)


@pytest.mark.parametrize(("network", "rounded"), [(Thresholded(), False), (WithoutGradients(), True)])
def test_inputs_are_rounded_if_sums_need_it(network: nn.Module, rounded: bool) -> None:
    specs = calibrate(network, [gaussian(7, 6)])
    assert ("input" in {spec.name for spec in specs}) is rounded
    config = QuantizationSpace(specs).uniform(8, Scheme.PTQ, Rounding.NEAREST)
    check_exact(freeze_network(quantize_network(network, config)), gaussian(7, 6))


def test_integer_inputs_stay_as_they_are() -> None:
    network = nn.Sequential(nn.Embedding(7, 6), make_network())
    batch = torch.randint(0, 7, (3,))
    specs = specs_of(network, batch)
    assert "input" not in specs


def test_the_width_of_the_input_is_searched_or_fixed() -> None:
    specs = calibrate(make_network(), [gaussian(3, 6)])
    space = QuantizationSpace(specs, {"input": 5, **{f: (2, 4) for f in Family if f is not Family.INPUT}})
    assert space.widths["input"] == (5, 5)
    config = space.uniform(4, Scheme.PTQ, Rounding.NEAREST)
    assert space.footprint(config).by_family[Family.INPUT] == 5 * 6
    check_exact(freeze_network(quantize_network(make_network(), config)), gaussian(3, 6))
