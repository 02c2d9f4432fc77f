"""Thresholds and decays of every type are read and counted, or the neuron keeps its own step, or it is refused."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import base, functional, layer, neuron, surrogate
from torch import Tensor, nn

from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.networks import calibrate, check_exact, find_parameters, freeze_network, quantize_network
from qspinn_optuna.networks.modules.coefficients import coefficients, computed_coefficients
from qspinn_optuna.networks.modules.neurons import has_fixed_point_step
from qspinn_optuna.parameters import Family
from tests.networks.builders import FORMATS, config_of, eighths, on_grid, states_of

WIDE = {**FORMATS, Family.DECAY: QFormat(0, 8, signed=False), Family.MEMBRANE: QFormat(3, 12)}
STEPS = 6


def as_attribute(name: str, value: Any) -> Callable[[Any], None]:
    return lambda node: setattr(node, name, value)


def as_buffer(name: str, value: Tensor) -> Callable[[Any], None]:
    def change(node: Any) -> None:
        delattr(node, name)
        node.register_buffer(name, value)

    return change


def network_with(node: nn.Module, change: Callable[[Any], None]) -> nn.Module:
    change(node)
    return nn.Sequential(node)


def outputs(network: nn.Module, x_seq: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes and potentials of all steps."""
    network = copy.deepcopy(network).eval()
    functional.reset_net(network)
    spikes, potentials = [], []
    with torch.no_grad():
        for x in x_seq:
            spikes.append(network(x))
            potentials.append(next(iter(states_of(network).values())))
    return torch.stack(spikes), torch.stack(potentials)


def leaky(x_seq: Tensor, decay: float | NDArray[Any], threshold: float | NDArray[Any]) -> NDArray[Any]:
    """Spikes of neurons that decay to 0 and reset to 0, in float64; the input is not scaled."""
    v = np.zeros(x_seq.shape[1:])
    spikes = []
    for x in x_seq.double().numpy():
        v = v * decay + x
        spikes.append(v >= threshold)
        v = np.where(spikes[-1], 0.0, v)
    return np.stack(spikes).astype(np.float64)


NUMBERS = {
    "int": 4,
    "np.float32": np.float32(4),
    "np.int64": np.int64(4),
    "array": np.array(4.0),
    "0-d tensor": torch.tensor(4.0),
    "one element": torch.tensor([4.0]),
    "integer tensor": torch.tensor(4),
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS.keys())
@pytest.mark.parametrize("kind", [neuron.LIFNode, neuron.SimpleLIFNode])
def test_time_constants_of_any_type_decay(kind: Any, number: Any) -> None:
    network = network_with(kind(tau=2.0, decay_input=False), as_attribute("tau", number))
    found = {parameter.name: parameter.count for parameter in find_parameters(network)}
    assert found == {"0.v": None, "0.threshold": 1, "0.decay": 1}
    x_seq = eighths(STEPS, 3, 5, high=6)
    quantized = freeze_network(quantize_network(network, config_of(network, formats=WIDE)))
    assert has_fixed_point_step(quantized[0])  # type: ignore[index]
    assert np.array_equal(outputs(quantized, x_seq)[0].numpy(), leaky(x_seq, 0.75, 1.0))
    check_exact(quantized, x_seq[0])


@pytest.mark.parametrize("number", [torch.tensor(4.0), torch.tensor([4.0])])
def test_time_constants_in_buffers_decay(number: Tensor) -> None:
    network = network_with(neuron.LIFNode(decay_input=False), as_buffer("tau", number))
    x_seq = eighths(STEPS, 3, 5, high=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        specs = {spec.name: spec for spec in calibrate(network, [x_seq[0]])}
    assert specs["0.decay"].count == 1
    quantized = quantize_network(network, config_of(network, formats=WIDE))
    assert np.array_equal(outputs(quantized, x_seq)[0].numpy(), leaky(x_seq, 0.75, 1.0))
    assert float(network[0].tau) == 4  # type: ignore[index]


@pytest.mark.parametrize("name", ["v_threshold", "v_reset"])
@pytest.mark.parametrize("hold", [as_attribute, as_buffer])
@pytest.mark.parametrize("kind", [neuron.IFNode, neuron.TernaryIFNode, neuron.CUBALIFNode])
def test_thresholds_and_resets_of_any_type_are_on_their_grids(kind: Any, hold: Any, name: str) -> None:
    network = network_with(kind(), hold(name, torch.tensor(0.53)))
    x_seq = eighths(STEPS, 3, 5)
    names = {parameter.name for parameter in find_parameters(network)}
    assert "0.threshold" in names
    quantized: Any = quantize_network(network, config_of(network))
    grid = {"v_threshold": 8 / 16, "v_reset": 8 / 16}
    assert float(getattr(quantized[0], name)) == grid[name]
    assert on_grid(outputs(quantized, x_seq)[1], FORMATS[Family.MEMBRANE])


@pytest.mark.parametrize("kind", [neuron.LIFNode, neuron.SimpleLIFNode, neuron.TernaryLIFNode])
def test_constants_of_each_channel_are_counted_and_applied(kind: Any) -> None:
    node = kind(tau=2.0, decay_input=False, surrogate_function=surrogate.Rect())
    node.tau = torch.tensor([2.0, 4.0, 1.6]).reshape(3, 1)
    node.v_threshold = torch.tensor([0.5, 1.0, 0.75]).reshape(3, 1)
    network = nn.Sequential(node)
    x_seq = eighths(STEPS, 2, 3, 4, high=5)
    specs = {spec.name: spec for spec in calibrate(network, [x_seq[0]])}
    assert specs["0.threshold"].count == specs["0.decay"].count == 3
    quantized = quantize_network(network, config_of(network, formats=WIDE))
    threshold = node.v_threshold.numpy()
    # 1 - 1 / 1.6 = 0.375 is on the grid, too.
    expected = leaky(x_seq, np.array([[0.5], [0.75], [0.375]]), threshold)
    assert np.array_equal(outputs(quantized, x_seq)[0].numpy(), expected)
    check_exact(freeze_network(quantized), x_seq[0])
    inputs = x_seq.clone().requires_grad_()
    torch.stack([quantized(x) for x in inputs]).sum().backward()  # type: ignore[no-untyped-call]
    assert inputs.grad is not None
    assert bool(inputs.grad.isfinite().all())


class Computed(neuron.LIFNode):  # type: ignore[misc]
    """A time constant behind a property."""

    def __init__(self) -> None:
        super().__init__(decay_input=False)
        self.milliseconds = 20.0

    @property
    def tau(self) -> float:
        return self.milliseconds / 5

    @tau.setter
    def tau(self, value: float) -> None:
        self.milliseconds = 5 * value


class ReadOnly(neuron.LIFNode):  # type: ignore[misc]
    """Its setter sets nothing."""

    def __init__(self) -> None:
        super().__init__(decay_input=False)

    @property
    def tau(self) -> float:
        return 4.0

    @tau.setter
    def tau(self, value: float) -> None:
        pass


class WithoutSetter(neuron.SimpleLIFNode):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(2.0, False)

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "tau":
            super().__setattr__(name, value)

    @property
    def tau(self) -> float:
        return 4.0


class Trained(neuron.LIFNode):  # type: ignore[misc]
    """A time constant of a parameter of its own."""

    def __init__(self) -> None:
        super().__init__(decay_input=False)
        self.rate = nn.Parameter(torch.tensor(0.25))

    @property
    def tau(self) -> Any:
        return 1 / self.rate

    @tau.setter
    def tau(self, value: float) -> None:
        pass


class Constant(neuron.SimpleLIFNode):  # type: ignore[misc]
    """A time constant that is set by the class."""

    def __init__(self) -> None:
        super().__init__(2.0, False)
        del self.tau

    tau = 4


@pytest.mark.parametrize("kind", [Computed, Constant])
def test_settable_time_constants_are_quantized(kind: Any) -> None:
    network = nn.Sequential(kind())
    x_seq = eighths(STEPS, 3, 5, high=6)
    assert "0.decay" in {parameter.name for parameter in find_parameters(network)}
    quantized = quantize_network(network, config_of(network, formats=WIDE))
    assert np.array_equal(outputs(quantized, x_seq)[0].numpy(), leaky(x_seq, 0.75, 1.0))


@pytest.mark.parametrize("value", ["4", None, [2.0], complex(2), float("nan"), torch.tensor(0.0)])
def test_time_constants_that_are_no_numbers_are_refused(value: Any) -> None:
    network = network_with(neuron.LIFNode(), as_attribute("tau", value))
    with pytest.raises(ValueError, match=r"^0 \(LIFNode\) cannot be quantized: its tau"):
        find_parameters(network)


@pytest.mark.parametrize("value", ["1", float("nan"), -float("inf"), torch.tensor([1.0, float("inf")])])
def test_thresholds_that_are_no_numbers_are_refused(value: Any) -> None:
    network = network_with(neuron.IFNode(), as_attribute("v_threshold", value))
    with pytest.raises(ValueError, match=r"^0 \(IFNode\) cannot be quantized: its v_threshold"):
        find_parameters(network)


@pytest.mark.parametrize("kind", [ReadOnly, WithoutSetter])
def test_constants_that_properties_compute_are_quantized_in_fixed_point(kind: Any) -> None:
    network = nn.Sequential(kind())
    x_seq = eighths(STEPS, 3, 5, high=6)
    names = {spec.name for spec in calibrate(network, [x_seq[0]])}
    assert names == {"0.v", "0.threshold", "0.decay"}
    quantized: Any = quantize_network(network, config_of(network, formats=WIDE))
    assert has_fixed_point_step(quantized[0])
    assert np.array_equal(outputs(quantized, x_seq)[0].numpy(), leaky(x_seq, 0.75, 1.0))
    coarse = WIDE | {Family.DECAY: QFormat(0, 1, signed=False)}
    frozen: Any = freeze_network(quantize_network(network, config_of(network, formats=coarse)))
    loaded = pickle.loads(pickle.dumps(copy.deepcopy(frozen)))
    assert loaded[0].tau == 2.0
    assert not torch.equal(outputs(loaded, 4 * x_seq)[1], outputs(quantized, 4 * x_seq)[1])


class Adaptive(neuron.IFNode):  # type: ignore[misc]
    """A threshold that its potential raises."""

    @property
    def v_threshold(self) -> Any:
        return 1 + 0.25 * self._memories.get("v", 0.0)

    @v_threshold.setter
    def v_threshold(self, value: float) -> None:
        pass


def test_thresholds_made_of_states_are_no_constants() -> None:
    node = Adaptive()
    assert coefficients(node) == ()
    assert computed_coefficients(node) == ["v_threshold"]
    assert not has_fixed_point_step(node)


def test_time_constants_made_of_parameters_are_trained() -> None:
    """SpikingJelly's LIFNode takes them as numbers, so that their gradients are lost in its float step, too."""
    network = nn.Sequential(Trained())
    assert {parameter.name for parameter in find_parameters(network)} == {"0.rate", "0.v", "0.threshold"}


class TrainedThreshold(base.MemoryModule):  # type: ignore[misc]
    """Called as users call it, with a gain beside it."""

    v: Any

    def __init__(self, name: str) -> None:
        super().__init__()
        self.register_memory("v", 0.0)
        self.own = name
        self.register_parameter(name, nn.Parameter(torch.full((5,), 0.75)))
        self.gain = nn.Parameter(torch.tensor(0.5))

    def single_step_forward(self, x: Tensor) -> Tensor:
        self.v = self.v + self.gain * x
        spikes: Tensor = (self.v >= getattr(self, self.own)).float()
        return spikes


@pytest.mark.parametrize("name", ["v_threshold", "threshold", "thresh", "v_th", "vth"])
def test_trained_thresholds_are_of_the_family_of_thresholds(name: str) -> None:
    network = nn.Sequential(TrainedThreshold(name))
    expected = {f"0.{name}": (Family.THRESHOLD, 5), "0.gain": (Family.WEIGHT, 1), "0.v": (Family.MEMBRANE, 5)}
    for found in (find_parameters(network, eighths(3, 5)), calibrate(network, [eighths(3, 5)])):
        assert {parameter.name: (parameter.family, parameter.count) for parameter in found} == expected
    frozen = freeze_network(quantize_network(network, config_of(network)))
    check_exact(frozen, eighths(3, 5))
    assert on_grid(frozen.get_parameter(f"0.{name}"), FORMATS[Family.THRESHOLD])


class OwnNumbers(base.MemoryModule):  # type: ignore[misc]
    decay_names = ("decay",)

    def __init__(self) -> None:
        super().__init__()
        self.register_memory("v", 0.0)
        self.decay, self.gain, self.unused = 0.5, 2.0, 3.0

    def single_step_forward(self, x: Tensor) -> Tensor:
        v: Tensor = self.decay * self.v + self.gain * x  # type: ignore[has-type]
        self.v = v
        return (v >= 1).float()


def test_numbers_of_own_steps_that_nothing_counts_are_told() -> None:
    with pytest.warns(UserWarning, match=r"numbers \['0\.gain'\]"):
        names = {spec.name for spec in calibrate(nn.Sequential(OwnNumbers()), [eighths(3, 5)])}
    assert names == {"0.v", "0.decay"}


def test_a_replaced_method_of_one_neuron_keeps_its_step() -> None:
    node = neuron.SimpleIFNode()
    node.neuronal_charge = lambda x: setattr(node, "v", 0.5 * node.v + x)
    assert not has_fixed_point_step(node)


class PerChannel(neuron.ParametricLIFNode):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(decay_input=False, surrogate_function=surrogate.Rect())
        self.w = nn.Parameter(torch.tensor([-1.0, 0.0, 1.0]))


def test_learned_decays_of_each_channel_are_parameters() -> None:
    network = nn.Sequential(layer.Linear(4, 3), PerChannel())
    found = {parameter.name: parameter.count for parameter in find_parameters(network)}
    assert found["1.w"] == 3
    assert "1.decay" not in found
    quantized: Any = quantize_network(network, config_of(network))
    assert on_grid(quantized[1].w, FORMATS[Family.WEIGHT])
    quantized(eighths(2, 4))


class OwnStep(neuron.ParametricLIFNode):  # type: ignore[misc]
    def single_step_functional_forward(self, inputs: Any, states: Any, **_: Any) -> Any:
        v = states[0] * torch.exp(-self.w.abs()) + inputs[0]
        spike = self.surrogate_function(v - self.v_threshold)
        return (spike,), (v * (1 - spike),)


def test_a_decay_that_another_step_uses_in_its_way_is_a_parameter() -> None:
    network = nn.Sequential(OwnStep())
    names = {parameter.name for parameter in find_parameters(network)}
    assert names == {"0.w", "0.v", "0.threshold"}


def several_spikes(distance: Tensor) -> Tensor:
    """Whole numbers of spikes, from 0 to 4."""
    return (distance + 1).floor().clamp(0, 4)


def above_only(distance: Tensor) -> Tensor:
    return (distance > 0).float()


@pytest.mark.parametrize("fire", [several_spikes, above_only])
@pytest.mark.parametrize("kind", [neuron.IFNode, neuron.LIFNode, neuron.SimpleIFNode])
def test_functions_that_are_no_step_functions_are_kept(kind: Any, fire: Any) -> None:
    network = nn.Sequential(kind(surrogate_function=fire))
    assert not has_fixed_point_step(network[0])
    x_seq = eighths(1, 3, 5, high=40)
    quantized = quantize_network(network, config_of(network, formats=WIDE))
    spikes, _ = outputs(quantized, x_seq)
    gain = 0.5 if kind is neuron.LIFNode else 1.0
    assert torch.equal(spikes, fire(gain * x_seq - 1))


@pytest.mark.parametrize(
    "fire", [surrogate.Sigmoid(), surrogate.PiecewiseQuadratic(), surrogate.Rect(), surrogate.heaviside]
)
def test_surrogates_that_are_step_functions_run_in_fixed_point(fire: Any) -> None:
    assert has_fixed_point_step(neuron.LIFNode(surrogate_function=fire))
