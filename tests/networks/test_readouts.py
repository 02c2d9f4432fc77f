"""Neurons that never fire: leaky integrators, whose potentials are the scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from qspinn_optuna.fixed_point import QFormat
from qspinn_optuna.networks import calibrate, check_exact, find_parameters, freeze_network, quantize_network
from qspinn_optuna.networks.modules.neurons import has_fixed_point_step
from qspinn_optuna.parameters import Family
from qspinn_optuna.space import QuantizationSpace
from tests.networks.builders import FORMATS, config_of, eighths

STEPS = 6


class Readout(nn.Module):
    """The scores are what the readout has integrated."""

    def __init__(self, node: nn.Module, *, through_time: bool) -> None:
        super().__init__()
        self.fc, self.hidden = layer.Linear(4, 6), neuron.LIFNode(v_threshold=0.25)
        self.out, self.node = layer.Linear(6, 3), node
        self.through_time = through_time
        functional.set_step_mode(self, "m" if through_time else "s")

    def forward(self, x_seq: Tensor) -> Tensor:
        for x in [x_seq] if self.through_time else x_seq:
            self.node(self.out(self.hidden(self.fc(x))))
        potential: Tensor = self.node.v  # type: ignore[assignment]
        return potential


READOUTS: dict[str, Any] = {
    "LIF": lambda: neuron.LIFNode(4.0, decay_input=False, v_threshold=math.inf),
    "IF": lambda: neuron.IFNode(v_threshold=math.inf),
    "PLIF": lambda: neuron.ParametricLIFNode(4.0, decay_input=True, v_threshold=np.inf),
    "tensor": lambda: set_threshold(neuron.LIFNode(4.0)),
    "largest": lambda: neuron.LIFNode(4.0, v_threshold=float(np.finfo(np.float32).max), v_reset=None),
    "current": lambda: neuron.CUBALIFNode(v_threshold=math.inf),
}


def set_threshold(node: Any) -> Any:
    node.v_threshold = torch.tensor(math.inf)
    return node


def integrated(
    currents: NDArray[Any], decay: float, gain: float, fmt: QFormat, *, resolution: float
) -> NDArray[np.float64]:
    """Potentials of a leaky integrator at the end, from codes: rounded to nearest, ties up, and saturated."""
    codes = np.zeros(currents.shape[1:])
    for x in currents:
        codes = np.floor((codes * decay + gain * x / resolution) + 0.5)
        codes = np.clip(codes, fmt.min_code, fmt.max_code)
    return codes * resolution


@pytest.mark.parametrize("make", READOUTS.values(), ids=READOUTS.keys())
@pytest.mark.parametrize("through_time", [False, True])
def test_readouts_are_searched_without_a_threshold(make: Any, through_time: bool) -> None:
    torch.manual_seed(3)
    network = Readout(make(), through_time=through_time)
    x_seq = eighths(STEPS, 3, 4)
    names = {spec.name for spec in calibrate(network, [x_seq])}
    assert "node.v" in names
    assert "node.threshold" not in names
    quantized: Any = quantize_network(network, config_of(network))
    assert has_fixed_point_step(quantized.node)
    scores = quantized(x_seq)
    assert torch.unique(scores).numel() > 2
    scores.sum().backward()
    gradients = [parameter.grad for parameter in quantized.parameters()]
    assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients)
    assert float(gradients[0].abs().max()) > 0
    check_exact(freeze_network(quantized), x_seq)


@pytest.mark.parametrize(
    ("make", "decay", "gain"),
    [
        (lambda: neuron.IFNode(v_threshold=math.inf), 1.0, 1.0),
        (lambda: neuron.LIFNode(4.0, decay_input=False, v_threshold=math.inf), 0.75, 1.0),
        (lambda: neuron.LIFNode(4.0, decay_input=False, v_threshold=1e38, v_reset=None), 0.75, 1.0),
        (lambda: neuron.LIFNode(2.0, decay_input=True, v_threshold=math.inf), 0.5, 0.5),
        (lambda: neuron.ParametricLIFNode(4.0, decay_input=False, v_threshold=math.inf), 0.75, 1.0),
    ],
)
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_they_integrate_as_integers_do(make: Any, decay: float, gain: float, step_mode: str) -> None:
    currents = eighths(STEPS, 3, 5, high=9) - 0.5
    network = nn.Sequential(make())
    quantized: Any = freeze_network(quantize_network(network, config_of(network)))
    functional.set_step_mode(quantized, step_mode)
    with torch.no_grad():
        outputs = quantized(currents) if step_mode == "m" else torch.stack([quantized(x) for x in currents])
    assert not bool(outputs.any())
    fmt = FORMATS[Family.MEMBRANE]
    expected = integrated(currents.double().numpy(), decay, gain, fmt, resolution=1 / 16)
    assert np.array_equal(quantized[0].v.numpy(), expected)


def test_subtracting_an_infinite_threshold_is_refused() -> None:
    network = nn.Sequential(nn.Linear(4, 8), neuron.IFNode(v_threshold=math.inf, v_reset=None))
    with pytest.raises(ValueError, match=r"1 \(IFNode\) cannot be quantized: its v_threshold"):
        find_parameters(network)


def test_parameters_that_are_zero_may_have_one_bit() -> None:
    network = nn.Sequential(layer.Linear(4, 3), neuron.IFNode())
    nn.init.zeros_(network[0].bias)  # type: ignore[arg-type]
    specs = calibrate(network, [eighths(3, 4)])
    space = QuantizationSpace(specs, bits=(1, 8))
    assert "bits.0.bias" in space.distributions
    (bias,) = (spec for spec in specs if spec.name == "0.bias")
    assert bias.format(1).min == 0
    assert bias.format(2) == QFormat.covering(-0.5, 0.5, 2)


def truncated(network: nn.Module, x_seq: Tensor, step_mode: str) -> list[Tensor]:
    """Gradients of backpropagation through two parts of a sequence, one after the other."""
    functional.reset_net(network)
    functional.set_step_mode(network, step_mode)
    network.zero_grad()
    for part in torch.split(x_seq, 3):
        outputs = network(part) if step_mode == "m" else torch.stack([network(x) for x in part])
        outputs.sum().backward()
        functional.detach_net(network)
    functional.reset_net(network)
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


@pytest.mark.parametrize(
    "node",
    [
        neuron.LIFNode(),
        neuron.IFNode(v_reset=None),
        neuron.ParametricLIFNode(),
        neuron.TernaryIFNode(),
        neuron.CUBALIFNode(),
        neuron.KLIFNode(),
        layer.SynapseFilter(4.0),
    ],
    ids=lambda node: type(node).__name__,
)
def test_truncated_backpropagation_is_the_same_in_both_step_modes(node: nn.Module) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(layer.Linear(4, 6), node)
    quantized = quantize_network(network, config_of(network))
    x_seq = eighths(STEPS, 3, 4)
    single, multi = ([gradient.clone() for gradient in truncated(quantized, x_seq, mode)] for mode in "sm")
    assert len(single) == len(multi) > 0
    for one, other in zip(single, multi, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert float(single[0].abs().max()) > 0


def test_potentials_of_readouts_can_be_detached_too() -> None:
    network = Readout(neuron.LIFNode(4.0, v_threshold=math.inf), through_time=False)
    quantized = quantize_network(network, config_of(network))
    for part in torch.split(eighths(STEPS, 3, 4), 2):
        quantized(part).sum().backward()
        functional.detach_net(quantized)
