"""When the grid values of parameters are computed, and what reads of them give."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.fixed_point import ParameterQuantization, QFormat, Rounding, quantize
from qspinn_optuna.networks import freeze_network, quantize_network
from qspinn_optuna.networks.modules import quantizer
from qspinn_optuna.networks.modules.weight_kernel import put_on_grid
from qspinn_optuna.parameters import Family
from tests.networks.builders import FORMATS, config_of, eighths, on_grid

STEPS = 6


class Loop(nn.Module):
    """A loop over time in step mode 's' whose output layer shares the weights of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = layer.Linear(5, 5)
        self.neurons = neuron.LIFNode(v_threshold=0.3)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [nn.functional.linear(self.neurons(self.first(step)), self.first.weight) for step in x]
        return torch.stack(outputs)


def loop(rounding: Rounding = Rounding.NEAREST) -> Any:
    torch.manual_seed(4)
    network = Loop()
    with torch.no_grad():
        # One beyond the format, where there is no gradient.
        network.first.weight[0, 0] = 3.0
    return quantize_network(network, config_of(network, rounding))


INPUTS = eighths(STEPS, 3, 5)


def run(network: nn.Module) -> Tensor:
    functional.reset_net(network)
    output: Tensor = network(INPUTS)
    return output


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the parameters that were put on their grids."""
    shapes: list[tuple[int, ...]] = []
    original = quantize

    def counting(values: Tensor, *arguments: Any) -> Tensor:
        shapes.append(tuple(values.shape))
        return original(values, *arguments)

    monkeypatch.setattr(quantizer, "quantize", counting)
    return shapes


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every comparison of all values of a parameter."""
    calls: list[int] = []
    original = torch.equal

    def counting(first: Tensor, second: Tensor) -> bool:
        calls.append(first.numel())
        return original(first, second)

    monkeypatch.setattr(torch, "equal", counting)
    return calls


def test_a_frozen_network_computes_and_compares_nothing(computed: list[Any], compared: list[int]) -> None:
    frozen: Any = freeze_network(loop())
    computed.clear()
    compared.clear()
    run(frozen)
    assert computed == compared == []
    assert frozen.first.weight is frozen.first._parameters["weight"]
    assert on_grid(frozen.first.weight, FORMATS[Family.WEIGHT])


@pytest.mark.parametrize("rounding", Rounding)
def test_weights_are_put_on_their_grids_once_an_update(rounding: Rounding, computed: list[Any]) -> None:
    network = loop(rounding)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(3):
        computed.clear()
        for _ in range(2):  # Gradients of two passes are added up.
            run(network).sum().backward()  # type: ignore[no-untyped-call]
        assert sorted(computed) == [(5,), (5, 5)]
        optimizer.step()


def test_a_pass_compares_a_weight_at_most_once(compared: list[int]) -> None:
    network = loop()
    run(network)
    compared.clear()
    run(network)
    assert sorted(compared) == [5, 25]


def in_place(weight: Tensor) -> None:
    with torch.no_grad():
        weight[1, 1] += 0.5


def by_data(weight: Tensor) -> None:
    weight.data[1, 1] += 0.5


def new_data(weight: Tensor) -> None:
    in_place(changed := weight.detach().clone())
    weight.data = changed


@pytest.mark.parametrize("update", [in_place, by_data, new_data])
@pytest.mark.parametrize("training", [False, True])
def test_updates_are_noticed_by_the_next_sequence(update: Callable[[Tensor], None], training: bool) -> None:
    network, untouched = loop(), loop()
    with torch.set_grad_enabled(training):
        before = run(network)
    update(network.first._parameters["weight"])
    update(untouched.first._parameters["weight"])
    with torch.set_grad_enabled(training):
        after = run(network)
        # A network that has seen no other value is the oracle.
        assert torch.equal(after, run(untouched))
    assert not torch.equal(after, before)


def test_an_update_by_data_is_noticed_within_the_sequence() -> None:
    network: Any = nn.Sequential(nn.Linear(2, 2, bias=False))
    copied: Any = quantize_network(network, config_of(network))
    copied(torch.ones(1, 2))
    by_data(copied[0]._parameters["weight"])
    output = copied(torch.tensor([[0.0, 1.0]]))
    assert torch.equal(output[0], copied[0].weight[:, 1])
    assert abs(float(output[0, 1].detach()) - float(network[0].weight[1, 1].detach()) - 0.5) <= 1 / 32


def unshared(network: Any) -> Tensor:
    """The gradient of the weights where every read is an operation of its own, as written down by hand."""
    weight, bias = network.first._parameters["weight"], network.first._parameters["bias"]
    grid, grid_bias = network.first.weight.detach(), network.first.bias.detach()
    fmt = FORMATS[Family.WEIGHT]

    def read(original: Tensor, values: Tensor) -> Tensor:
        inside = original.clamp(fmt.min, fmt.max)
        return values + (inside - inside.detach())

    functional.reset_net(network)
    outputs = [
        nn.functional.linear(
            network.neurons(nn.functional.linear(x, read(weight, grid), read(bias, grid_bias))), read(weight, grid)
        )
        for x in INPUTS
    ]
    gradient: Tensor = torch.autograd.grad(torch.stack(outputs).square().sum(), weight)[0]
    return gradient


def test_the_gradient_is_that_of_separate_reads() -> None:
    network = loop()
    run(network).square().sum().backward()  # type: ignore[no-untyped-call]
    gradient = network.first._parameters["weight"].grad
    torch.testing.assert_close(gradient, unshared(network))
    assert gradient[0, 0] == 0
    assert bool((gradient != 0).any())


@pytest.mark.parametrize("grad", [False, True])
def test_writing_into_what_was_read_changes_nothing(grad: bool) -> None:
    network = loop()
    before = run(network)
    with torch.set_grad_enabled(grad):
        read = network.first.weight
    read.data.zero_()
    assert torch.equal(run(network), before)


def test_networks_trained_after_an_evaluation_in_inference_mode() -> None:
    network = loop()
    with torch.inference_mode():
        expected = run(network)
    output = run(network)
    assert torch.equal(output, expected)
    output.sum().backward()  # type: ignore[no-untyped-call]
    assert network.first._parameters["weight"].grad is not None


def test_copies_do_not_share_what_was_computed() -> None:
    network = loop()
    run(network).sum().backward()  # type: ignore[no-untyped-call]
    copied = copy.deepcopy(network)
    copied.zero_grad()
    run(copied).sum().backward()  # type: ignore[no-untyped-call]
    expected = network.first._parameters["weight"].grad
    assert torch.equal(copied.first._parameters["weight"].grad, expected)


def test_a_failing_pass_is_over_too() -> None:
    network = loop()
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 3, 7))
    network.first.weight.data.zero_()
    assert bool(network.first.weight.any())


def test_parameters_are_trained_once_frozen_values_are_loaded() -> None:
    source = loop()
    target: Any = freeze_network(loop())
    with torch.no_grad():
        source.first._parameters["weight"].mul_(0.7)
    expected = run(source)
    target.load_state_dict(source.state_dict())
    assert on_grid(target.first.weight, FORMATS[Family.WEIGHT])
    assert torch.equal(run(target), expected)
    assert torch.equal(run(freeze_network(target)), expected)


def test_optimizers_are_told_to_take_parameters() -> None:
    network = loop()
    with pytest.raises(TypeError, match=r"network\.parameters\(\)"):
        torch.optim.SGD([network.first.weight], lr=0.1)
    frozen: Any = freeze_network(network)
    torch.optim.SGD([frozen.first.weight], lr=0.1)


def frozen_neurons(make: Callable[..., nn.Module], mode: str) -> tuple[nn.Module, Tensor]:
    network = nn.Sequential(
        layer.Conv1d(2, 3, 2), make(v_threshold=0.5), layer.Flatten(), layer.Linear(9, 4), make(v_threshold=0.25)
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_().mul_(2)  # so that neurons fire
    functional.set_step_mode(network, mode)
    inputs = eighths(STEPS, 2, 2, 4)
    return freeze_network(quantize_network(network, config_of(network))).eval(), inputs if mode == "m" else inputs[0]


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("make", [neuron.ParametricLIFNode, neuron.KLIFNode])
def test_frozen_networks_are_exported(make: Callable[..., nn.Module], mode: str) -> None:
    torch.manual_seed(0)
    network, inputs = frozen_neurons(make, mode)
    expected = network(inputs)
    functional.reset_net(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of states that are no buffers, as of the float network's.
        exported = torch.export.export(network, (inputs,))
    assert bool(expected.any())
    assert torch.equal(exported.module()(inputs), expected)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(6)


def at_once(values: Tensor, fmt: QFormat, rounding: Rounding, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    seen = torch.zeros_like(values)
    result = put_on_grid(values, ParameterQuantization(fmt, rounding), seen, generator)
    assert result is not None
    assert torch.equal(seen, values)
    grid, inside = result
    if inside is None:
        return grid, torch.ones(values.shape, dtype=torch.bool)
    assert not bool(inside.all())
    return grid, inside


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("fmt", [QFormat(0, 4), QFormat(2, 12), QFormat(-3, 7), QFormat(4, 0, signed=False)], ids=str)
def test_large_parameters_are_put_on_the_same_grid(fmt: QFormat, rounding: Rounding) -> None:
    """Halves of a step, values that draws just reach, values a digit beside them, ends and beyond, zeros."""
    values = torch.randn(40_000, generator=torch.Generator().manual_seed(0)) * 4
    halves = (values * 64).round() / 64
    ends = torch.tensor([fmt.min, fmt.max, 0.0, -0.0, 1e-42, -1e-42, 3e38, -3e38]).repeat(10)
    draws = torch.rand(5 * len(values), generator=seeded())
    signs = torch.arange(len(draws)) % 2
    reached = (signs - draws) * fmt.resolution
    for start in (torch.cat([values, halves, ends]), reached):
        for direction in (-9.0, None, 9.0):
            x = start if direction is None else start.nextafter(torch.tensor(direction))
            ours, theirs = seeded(), seeded()
            grid, inside = at_once(x, fmt, rounding, ours)
            expected = quantize(x, fmt, rounding, theirs)
            # The bits, so that zeros have the same sign too.
            assert torch.equal(grid.view(torch.int32), expected.view(torch.int32))
            assert torch.equal(inside, (x >= fmt.min) & (x <= fmt.max))
            assert torch.equal(ours.get_state(), theirs.get_state())


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("end", ["min", "max"])
@pytest.mark.parametrize("place", [0, 39_998, -1])
def test_large_parameters_fit_a_format_up_to_its_ends(place: int, end: str, rounding: Rounding) -> None:
    fmt = QFormat(0, 4)
    values = torch.zeros(40_000)
    last = torch.tensor(getattr(fmt, end))
    values[place] = last
    assert bool(at_once(values, fmt, rounding, seeded())[1].all())
    values[place] = last.nextafter(2 * last)
    outside = (~at_once(values, fmt, rounding, seeded())[1]).nonzero()
    assert outside.tolist() == [[place % len(values)]]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("place", [0, -1])
def test_large_parameters_that_are_not_finite_are_left_to_the_error(
    value: float, place: int, rounding: Rounding
) -> None:
    values = torch.zeros(40_000)
    values[place] = value
    generator = seeded()
    assert put_on_grid(values, ParameterQuantization(QFormat(0, 4), rounding), values.clone(), generator) is None
    assert torch.equal(generator.get_state(), seeded().get_state())
